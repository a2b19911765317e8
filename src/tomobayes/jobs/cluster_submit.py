"""``cluster-submit``: scheduler and workers as batch jobs, through a script that the site wrote for RELION."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tomobayes.compute.workers import DEATHS, WORKER_ENVIRONMENT
from tomobayes.formats.atomic import atomic_path
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import ClusterSubmit
from tomobayes.model import BadInput, Problem
from tomobayes.report import Fact, Report

__all__ = ["SCHEDULER_FILE", "filled", "run"]

SCHEDULER_FILE = "scheduler.json"
_PLACEHOLDER = re.compile(r"XXX([A-Za-z0-9_]+?)XXX")


def run(parameters: ClusterSubmit, context: Context) -> Path:
    """Write a script for the scheduler and one for each worker, and submit them; the scheduler's file is in the folder."""
    template = _read(parameters)
    folder = context.open([parameters.template])
    place = folder.resolve()
    (folder / SCHEDULER_FILE).unlink(missing_ok=True)
    commands = {"scheduler": _scheduler(place, parameters)} | {
        f"worker_{number:03d}": _worker(place, parameters) for number in range(1, parameters.workers + 1)
    }
    for name, command in commands.items():
        script = folder / f"{name}.sh"
        with atomic_path(script) as temporary:
            temporary.write_text(filled(template, _values(parameters, place, name, command)), encoding="utf-8")
        script.chmod(0o755)
        context.log.say(f"{name}: {_submitted(parameters, script)}")
    context.log.say(f"Give other verbs --scheduler {folder / SCHEDULER_FILE}")
    context.show(Report("Workers", facts=[Fact("Workers", str(parameters.workers)), Fact("Threads of each", str(parameters.j))]))
    return folder


def filled(template: str, values: Mapping[str, str]) -> str:
    """A submission script with its placeholders replaced.

    Raises
    ------
    BadInput
        with every placeholder for which there is no value.
    """
    unknown = [name for name in dict.fromkeys(_PLACEHOLDER.findall(template)) if name not in values]
    if unknown:
        remedy = f"give values of extra placeholders with --extra; known are {', '.join(f'XXX{name}XXX' for name in values)}"
        raise BadInput(
            [Problem(None, "--template", f"nothing is known to put in the place of XXX{name}XXX", remedy=remedy) for name in unknown]
        )
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def _read(parameters: ClusterSubmit) -> str:
    path = parameters.template
    try:
        template = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(Problem(path, "", f"cannot be read ({error})", remedy="give the script that RELION submits with")) from None
    if "XXXcommandXXX" not in template:
        what = "has no place for the command (XXXcommandXXX)"
        raise BadInput(Problem(path, "", what, remedy="give the script that RELION submits with"))
    filled(template, _values(parameters, Path(), "", ""))
    return template


def _values(parameters: ClusterSubmit, folder: Path, name: str, command: str) -> dict[str, str]:
    """RELION's placeholders for one process of some threads; one process that runs a single command, as with one MPI rank."""
    threads = 1 if name == "scheduler" else parameters.j
    values = {
        "name": f"tomobayes_{name}",
        "command": command,
        "outfile": str(folder / f"{name}.out"),
        "errfile": str(folder / f"{name}.err"),
        "queue": parameters.queue,
        "mpinodes": "1",
        "threads": str(threads),
        "cores": str(threads),
        "nodes": str(-(-threads // parameters.dedicated)),
        "dedicated": str(parameters.dedicated),
    }
    return values | {f"extra{number}": value for number, value in enumerate(parameters.extra, start=1)}


def _scheduler(folder: Path, parameters: ClusterSubmit) -> str:
    words = ["env", f"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES={DEATHS - 1}", sys.executable, "-m", "distributed.cli.dask_scheduler"]
    options = ["--port", "0", "--no-dashboard", "--idle-timeout", f"{60 * parameters.patience:g}s"]
    return shlex.join([*words, *options, "--scheduler-file", str(folder / SCHEDULER_FILE)])


def _worker(folder: Path, parameters: ClusterSubmit) -> str:
    words = ["env", f"DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON={WORKER_ENVIRONMENT}", sys.executable, "-m", "distributed.cli.dask_worker"]
    options = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
    return shlex.join(
        [*words, *options, "--death-timeout", f"{60 * parameters.patience:g}s", "--scheduler-file", str(folder / SCHEDULER_FILE)]
    )


def _submitted(parameters: ClusterSubmit, script: Path) -> str:
    """Hand a script to the queue; what the queue answers."""
    try:
        done = subprocess.run([*shlex.split(parameters.qsub), str(script)], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise BadInput(Problem(None, "--qsub", f"there is no program {parameters.qsub}", remedy="name the one that submits here")) from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{parameters.qsub} {script} refused: {(error.stderr or error.stdout).strip()}") from None
    return done.stdout.strip() or "submitted"
