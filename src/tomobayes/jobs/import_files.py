"""Finding files of several programs, and which tilt series each belongs to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from tomobayes.formats.aretomo import read_aretomo
from tomobayes.formats.ctf_files import read_ctf
from tomobayes.formats.imod import is_final_transform, read_imod
from tomobayes.formats.mdoc import read_mdoc
from tomobayes.formats.problems import collecting, shortened
from tomobayes.formats.relion_views import read_relion_views
from tomobayes.formats.series_names import series_name, series_of
from tomobayes.formats.sources import Sources, TiltImages, read_order, read_tilt_images
from tomobayes.formats.views import Acquired, Aligned
from tomobayes.jobs.parameters import ImportProject
from tomobayes.model import BadInput, Problem

__all__ = ["find_files", "find_sources"]

Read = TypeVar("Read")

ENDINGS = {
    "--mdoc": (".mdoc", ".star"),
    "--alignment": (".aln", ".xf"),
    "--ctf": (".txt", ".star", ".defocus", "_ctf.tlt"),
    "--tilt-images": (".mrc", ".mrcs", ".st", ".ali"),
    "--particles": (".tbl", ".star", ".txt", ".csv", ".coords"),
    "--order": (".order", ".txt", ".csv", ".star"),
}
"""What is looked for in a folder that an option names."""


def find_sources(parameters: ImportProject) -> tuple[list[Sources], list[str]]:
    """Files of every tilt series, read; and sentences about files that belong to none.

    Tilt series are named by the mdocs, or else by the alignments.

    Raises
    ------
    BadInput
        patterns that match nothing, several files of one kind for a tilt series, files that cannot be read
    """
    problems: list[Problem] = []
    wanted = {
        "--mdoc": parameters.mdoc,
        "--alignment": parameters.alignment,
        "--ctf": parameters.ctf,
        "--tilt-images": parameters.tilt_images,
        "--order": tuple(one for one in parameters.order if one != "section"),
    }
    files: dict[str, list[Path]] = {option: [] for option in wanted}
    for option, patterns in wanted.items():
        with collecting(problems):
            files[option] = find_files(option, patterns)
    names = sorted({series_name(path) for path in files["--mdoc"] or files["--alignment"] or files["--tilt-images"]})
    if not names and not problems:
        remedy = "name their mdocs with --mdoc, or their alignments with --alignment"
        problems.append(Problem(None, "", "there is nothing that tells of tilt series", remedy=remedy))
    grouped: dict[str, dict[str | None, list[Path]]] = {option: _grouped(paths, set(names)) for option, paths in files.items()}
    if len(files["--order"]) == 1 and None in grouped["--order"]:
        grouped["--order"] = dict.fromkeys(names, files["--order"])  # one scheme for all
    notes = [
        f"{shortened([path.name for path in groups[None]])}: of no tilt series that has {'an mdoc' if files['--mdoc'] else 'an alignment'}."
        for groups in grouped.values()
        if groups.get(None)
    ]
    sources = [
        Sources(
            name,
            acquired=_one("--mdoc", grouped, name, _read_acquired, problems),
            aligned=_one("--alignment", grouped, name, _read_alignment, problems),
            defocused=_one("--ctf", grouped, name, read_ctf, problems),
            images=_images(grouped["--tilt-images"].get(name, []), problems),
            order=_one("--order", grouped, name, read_order, problems),
        )
        for name in names
    ]
    if problems:
        raise BadInput(problems)
    return sources, notes


def find_files(option: str, patterns: Sequence[str]) -> list[Path]:
    """Files that patterns name: themselves, those of a known ending in a folder or in the folders in it, or what a pattern matches."""
    found: list[Path] = []
    problems = []
    for pattern in patterns:
        path = Path(pattern)
        matches = [path] if path.exists() else sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        here = [file for match in matches for file in (_inside(match, option) if match.is_dir() else [match])]
        if not here:
            what = f"{pattern} {'holds no such files' if path.is_dir() else 'is not there, and matches nothing'}"
            remedy = f"name files, a folder that holds them ({', '.join(ENDINGS[option])}), or a pattern in quotes"
            problems.append(Problem(None, option, what, remedy=remedy))
        found += here
    if problems:
        raise BadInput(problems)
    return list(dict.fromkeys(found))


def _inside(folder: Path, option: str) -> list[Path]:
    """Files of the endings that an option looks for; of mdocs and alignments, those of the first ending if there are any.

    AreTomo's own files go before its transforms for IMOD.
    """
    files = [path for path in sorted((*folder.glob("*"), *folder.glob("*/*"))) if path.is_file()]
    found = [path for path in files if path.name.lower().endswith(ENDINGS[option])]
    if option not in ("--mdoc", "--alignment"):
        return found
    first = [path for path in found if path.suffix.lower() == ENDINGS[option][0]]
    return first or [path for path in found if path.suffix.lower() != ".xf" or is_final_transform(path)]


def _grouped(paths: Sequence[Path], names: Collection[str]) -> dict[str | None, list[Path]]:
    groups: dict[str | None, list[Path]] = {}
    for path in paths:
        groups.setdefault(series_of(str(path), names), []).append(path)
    return groups


def _one(
    option: str, grouped: dict[str, dict[str | None, list[Path]]], name: str, read: Callable[[Path], Read], problems: list[Problem]
) -> Read | None:
    """The file of that kind of a tilt series, read."""
    paths = grouped[option].get(name, [])
    if len(paths) > 1:
        what = f"the tilt series {name} has several: {shortened([str(path) for path in paths])}"
        problems.append(Problem(None, option, what, remedy="name one of them for each tilt series"))
        return None
    with collecting(problems):
        return read(paths[0]) if paths else None
    return None


def _images(paths: list[Path], problems: list[Problem]) -> TiltImages | None:
    with collecting(problems):
        return read_tilt_images(paths) if paths else None
    return None


def _read_acquired(path: Path) -> Acquired:
    return read_relion_views(path) if path.suffix == ".star" else read_mdoc(path)


def _read_alignment(path: Path) -> Aligned:
    return read_aretomo(path) if path.suffix == ".aln" else read_imod(path)
