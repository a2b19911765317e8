"""default_pipeline.star as RELION-5 writes it, read and written without loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.model import BadInput, Problem

__all__ = ["INPUTS", "NODES", "OUTPUTS", "PIPELINE_NAME", "PROCESSES", "Pipeline", "Rows", "loop", "read_pipeline", "write_pipeline"]

PIPELINE_NAME = "default_pipeline.star"
PROCESSES, NODES, INPUTS, OUTPUTS = "pipeline_processes", "pipeline_nodes", "pipeline_input_edges", "pipeline_output_edges"

_GENERAL, _COUNTER = "pipeline_general", "rlnPipeLineJobCounter"
_LABELS = {
    PROCESSES: ("rlnPipeLineProcessName", "rlnPipeLineProcessAlias", "rlnPipeLineProcessTypeLabel", "rlnPipeLineProcessStatusLabel"),
    NODES: ("rlnPipeLineNodeName", "rlnPipeLineNodeTypeLabel", "rlnPipeLineNodeTypeLabelDepth"),
    INPUTS: ("rlnPipeLineEdgeFromNode", "rlnPipeLineEdgeProcess"),
    OUTPUTS: ("rlnPipeLineEdgeProcess", "rlnPipeLineEdgeToNode"),
}
_WHERE_ABSENT = {"rlnPipeLineNodeTypeLabelDepth": "1"}

Rows = tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Pipeline:
    """The number that the next job gets, and the rows of the four tables."""

    counter: int
    tables: Mapping[str, Rows]

    def with_rows(self, table: str, rows: Iterable[Mapping[str, str]]) -> Pipeline:
        """The same pipeline with other rows in one table."""
        return replace(self, tables={**self.tables, table: tuple(rows)})

    def adding(self, table: str, values: Iterable[Sequence[str]]) -> Pipeline:
        """The same pipeline with rows added to one table, given by their values; a row whose first columns are known is not repeated."""
        labels = _LABELS[table]
        key = labels[:1] if table in (PROCESSES, NODES) else labels
        rows = {tuple(row[label] for label in key): row for row in self.tables[table]}
        for value in values:
            row = dict(zip(labels, value, strict=True))
            rows.setdefault(tuple(row[label] for label in key), row)
        return self.with_rows(table, rows.values())


def read_pipeline(project: Path) -> Pipeline:
    """The pipeline of the project in folder ``project``; an empty one where there is none yet."""
    path = project / PIPELINE_NAME
    tables = read_star(path) if path.exists() else {}
    problems = [
        Problem(path, f"table {name}, column {label}", "is missing", remedy="open the project once in RELION 5, which converts older ones")
        for name, labels in [(_GENERAL, (_COUNTER,)), *_LABELS.items()]
        for label in labels
        if name in tables and label not in tables[name].columns and label not in _WHERE_ABSENT
    ]
    if problems:
        raise BadInput(problems)
    counter = int(tables[_GENERAL].columns[_COUNTER][0]) if _GENERAL in tables else 1
    return Pipeline(counter, {name: _rows(tables.get(name)) for name in _LABELS})


def write_pipeline(project: Path, pipeline: Pipeline) -> None:
    """Write ``pipeline`` into the project's folder, atomically."""
    general = Table(_GENERAL, {_COUNTER: np.array([str(pipeline.counter)])}, is_list=True)
    tables = [loop(name, _LABELS[name], rows) for name, rows in pipeline.tables.items() if rows]
    write_star(project / PIPELINE_NAME, [general, *tables])


def loop(name: str, labels: Sequence[str], rows: Rows) -> Table:
    """A STAR loop of ``rows``; columns that only some rows have are kept, and filled in where absent."""
    every = tuple(dict.fromkeys([*labels, *(label for row in rows for label in row)]))
    return Table(
        name, {label: np.array([row.get(label, _WHERE_ABSENT.get(label, "None")) for row in rows], dtype=np.str_) for label in every}
    )


def _rows(table: Table | None) -> Rows:
    if table is None:
        return ()
    return tuple({label: str(values[i]) for label, values in table.columns.items()} for i in range(len(table)))
