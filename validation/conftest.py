"""What the program claims, measured. Every case prints bar, figure, oracle and null; ``--record`` writes them to docs/validation.md."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "docs" / "validation.json"
PAGE = ROOT / "docs" / "validation.md"


RESULTS = pytest.StashKey[dict[str, dict[str, object]]]()


@dataclass(frozen=True)
class Measurement:
    """One figure against its bar; ``oracle`` is the same with true parameters, ``null`` the same without information."""

    case: str
    what: str
    figure: float
    bar: str
    met: bool
    oracle: float | None
    null: float | None


class Claims:
    """Collects the measurements of one case; a bar that is not met fails it."""

    def __init__(self, case: str) -> None:
        self._case = case
        self.made: list[Measurement] = []

    def measured(
        self,
        what: str,
        figure: float,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        oracle: float | None = None,
        null: float | None = None,
    ) -> None:
        """Note a figure, print it, and fail where it misses its bar.

        Parameters
        ----------
        what : the figure's meaning, with its unit
        at_least, at_most : the bar, one or both; none for a figure that is only told
        oracle : the figure that true parameters give through the same code
        null : the figure where there is nothing to be found
        """
        bounds = [f"{sign} {bound:.4g}" for sign, bound in (("≥", at_least), ("≤", at_most)) if bound is not None]
        met = (at_least is None or figure >= at_least) and (at_most is None or figure <= at_most)
        known, nothing = (None if value is None else float(value) for value in (oracle, null))  # plain numbers, whatever was given
        made = Measurement(self._case, what, float(figure), ", ".join(bounds), bool(met), known, nothing)
        self.made.append(made)
        print(_line(made))
        assert met, _line(made)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--record``: keep the figures of this run in docs/validation.md."""
    parser.addoption("--record", action="store_true", help="write the figures to docs/validation.md")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the figures."""
    config.stash[RESULTS] = {}


@pytest.fixture
def claims(request: pytest.FixtureRequest) -> Iterator[Claims]:
    """The measurements of one case, kept with what it took."""
    case = request.node.name
    collected, start = Claims(case), time.monotonic()
    yield collected
    request.config.stash[RESULTS][request.node.nodeid] = {
        "command": f"pytest {shlex.quote(request.node.nodeid)}",
        "commit": _commit(),
        "seconds": round(time.monotonic() - start, 1),
        "measurements": [asdict(made) for made in collected.made],
    }


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data ($TOMOBAYES_SHARED, else ``../shared`` beside the repository)."""
    folder = Path(os.environ.get("TOMOBAYES_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}: set TOMOBAYES_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="session")
def check(shared: Path) -> object:
    """Runs one of the shared checks, which know nothing of this project, and gives what it prints."""

    def run(script: str, *arguments: object) -> str:
        command = [sys.executable, str(shared / "checks" / script), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """All figures once more, together; and on paper where asked."""
    results = config.stash[RESULTS]
    terminalreporter.section("figures")
    for result in results.values():
        for made in result["measurements"]:
            terminalreporter.line(_line(Measurement(**made)))
    if config.getoption("--record"):
        stored = json.loads(STORE.read_text()) if STORE.exists() else {}
        stored |= {case: result for case, result in results.items() if result["measurements"]}  # others were interrupted
        STORE.write_text(json.dumps(dict(sorted(stored.items())), indent=1, ensure_ascii=False) + "\n")
        PAGE.write_text(_page(stored))
        terminalreporter.line(f"recorded in {PAGE}")


def _line(made: Measurement) -> str:
    others = [f"{name} {value:.4g}" for name, value in (("oracle", made.oracle), ("null", made.null)) if value is not None]
    bar = f" (bar {made.bar}: {'met' if made.met else 'MISSED'})" if made.bar else ""
    return f"{made.what}: {made.figure:.4g}{bar}" + (f", {', '.join(others)}" if others else "")


def _commit() -> str:
    """What was measured; figures written a moment before do not make it another program."""

    def told(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    records = [f":!{path.relative_to(ROOT)}" for path in (STORE, PAGE)]
    changed = told("status", "--porcelain", "--untracked-files=no", "--", ".", *records)
    return (told("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changed else "")


def _page(stored: dict[str, dict[str, object]]) -> str:
    lines = ["# What was measured", "", "Written by `make record-validation`; not edited by hand.", ""]
    for node, result in sorted(stored.items()):
        lines += [f"## {node.split('::')[-1]}", "", f"`{result['command']}` · commit {result['commit']} · {result['seconds']} s", ""]
        lines += ["| figure | value | bar | oracle | null |", "|---|---|---|---|---|"]
        for entry in result["measurements"]:
            made = Measurement(**entry)
            cells = [made.what, f"{made.figure:.4g}", f"{made.bar} {'' if made.met else '(missed)'}".strip() or "–"]
            cells += ["–" if value is None else f"{value:.4g}" for value in (made.oracle, made.null)]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
