"""A project's list of jobs and of the files that tie them together, shared with RELION.

Our jobs are listed as ``relion.external``, so RELION's GUI shows them and offers their outputs to its own jobs.
What RELION or others wrote there is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tomobayes.formats.star import write_star
from tomobayes.project.lock import exclusive
from tomobayes.project.markers import Ending
from tomobayes.project.nodes import Node
from tomobayes.project.pipeline_file import INPUTS, NODES, OUTPUTS, PROCESSES, loop, read_pipeline, write_pipeline

__all__ = ["forget_job", "is_listed", "register_job", "update_job", "write_output_nodes"]

_STATUS = {None: "Running", Ending.SUCCESS: "Succeeded", Ending.FAILURE: "Failed", Ending.ABORTED: "Aborted"}
_NAME, _STATUS_LABEL = "rlnPipeLineProcessName", "rlnPipeLineProcessStatusLabel"


def register_job(project: Path, make: Callable[[int], str], inputs: Sequence[Node]) -> str:
    """List a new, running job and return its name.

    Parameters
    ----------
    project : the project's folder; ``default_pipeline.star`` is created where there is none
    make : given the number of the job, makes its folder and returns its name, ``Type/jobNNN/``
    inputs : files that the job reads
    """
    with _changing(project):
        pipeline = read_pipeline(project)
        number = max(pipeline.counter, _highest_number(project) + 1)
        name = make(number)
        pipeline = replace(pipeline, counter=number + 1).adding(PROCESSES, [(name, "None", "relion.external", _STATUS[None])])
        pipeline = pipeline.adding(NODES, [(node.name, node.kind, "1") for node in inputs])
        write_pipeline(project, pipeline.adding(INPUTS, [(node.name, name) for node in inputs]))
    return name


def is_listed(project: Path, name: str) -> bool:
    """Whether the project in folder ``project`` lists a job of this name."""
    return any(row[_NAME] == name for row in read_pipeline(project).tables[PROCESSES])


def update_job(project: Path, name: str, how: Ending | None, outputs: Sequence[Node] = ()) -> None:
    """Set the status of a listed job (None: it runs) and add its output files."""
    with _changing(project):
        pipeline = read_pipeline(project)
        rows = ({**row, _STATUS_LABEL: _STATUS[how]} if row[_NAME] == name else row for row in pipeline.tables[PROCESSES])
        pipeline = pipeline.with_rows(PROCESSES, rows).adding(NODES, [(node.name, node.kind, "1") for node in outputs])
        write_pipeline(project, pipeline.adding(OUTPUTS, [(name, node.name) for node in outputs]))


def forget_job(project: Path, name: str) -> None:
    """Take a job off the list, with its edges: it ended before it made anything."""
    with _changing(project):
        pipeline = read_pipeline(project)
        for table, rows in pipeline.tables.items():
            pipeline = pipeline.with_rows(table, [row for row in rows if name not in row.values()])
        write_pipeline(project, pipeline)


def write_output_nodes(folder: Path, outputs: Sequence[Node]) -> None:
    """Leave ``RELION_OUTPUT_NODES.star``, from which RELION learns the outputs of an External job that it started itself."""
    labels = ("rlnPipeLineNodeName", "rlnPipeLineNodeTypeLabel")
    rows = tuple(dict(zip(labels, (node.name, node.kind), strict=True)) for node in outputs)
    write_star(folder / "RELION_OUTPUT_NODES.star", [loop("output_nodes", labels, rows)])


@contextmanager
def _changing(project: Path) -> Iterator[None]:
    with exclusive(project / ".relion_lock"):
        yield


def _highest_number(project: Path) -> int:
    numbers = (path.name.removeprefix("job") for path in project.glob("*/job[0-9]*"))
    return max((int(number) for number in numbers if number.isdigit()), default=0)
