"""What can be told of jobs that RELION ran in the same project, from the files that it leaves."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tomobayes.formats.relion_iteration import read_iteration_model
from tomobayes.formats.star import Table, read_star
from tomobayes.model import BadInput
from tomobayes.project import Job
from tomobayes.report import Chart, Fact, Item, Report, Section, format_number, fsc_chart
from tomobayes.web.iterations import iterations_of, map_items

__all__ = ["map_sections", "relion_options", "relion_report"]

POSTPROCESS, MODEL = "postprocess.star", "run_model.star"
_CURVES = {
    "rlnFourierShellCorrelationCorrected": "Corrected",
    "rlnFourierShellCorrelationUnmaskedMaps": "Unmasked",
    "rlnFourierShellCorrelationMaskedMaps": "Masked",
    "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps": "Phases randomised",
}
MOST_MAPS = 3


def relion_report(job: Job) -> Report | None:
    """Resolution and FSC of a job of RELION; None where its files tell neither."""
    iterations = iterations_of(job.folder)
    candidates = [job.folder / POSTPROCESS, job.folder / MODEL, *(one.model for one in iterations[-1:])]
    path = next((path for path in candidates if path.is_file()), None)
    return None if path is None else _report(path, path.stat().st_mtime_ns, len(iterations))


def map_sections(job: Job) -> list[Section]:
    """The maps that other jobs may take from a job."""
    paths = [job.folder / Path(node.name).name for node in job.outputs if node.name.endswith(".mrc")]
    items: list[Item] = [item for path in paths[:MOST_MAPS] if path.is_file() for item in map_items(path)[:1]]
    return [Section("Maps", items)] if items else []


def relion_options(job: Job) -> list[tuple[str, str, str]]:
    """What was asked of a job of RELION, as its job.star has it: option, value, and no word of what it means."""
    path = job.folder / "job.star"
    try:
        columns = read_star(path)["joboptions_values"].columns if path.is_file() else {}
        rows = zip(columns["rlnJobOptionVariable"], columns["rlnJobOptionValue"], strict=True)
    except (BadInput, KeyError):
        return []
    return [(str(option), str(value), "") for option, value in rows]


@lru_cache(maxsize=600)
def _report(path: Path, modified: int, n_iterations: int) -> Report | None:
    try:
        return _postprocessed(path) if path.name == POSTPROCESS else _refined(path, n_iterations)
    except (BadInput, KeyError, IndexError, ValueError):
        return None


def _postprocessed(path: Path) -> Report:
    tables = read_star(path)
    general = tables["general"].columns
    facts = [Fact("Resolution (FSC 0.143)", f"{format_number(float(general['rlnFinalResolution'][0]), 3)} Å")]
    if "rlnBfactorUsedForSharpening" in general:
        facts.append(Fact("B factor", f"{format_number(float(general['rlnBfactorUsedForSharpening'][0]), 3)} Å²"))
    return Report(path.parent.parent.name, facts=facts, sections=[Section("Resolution", [_fsc(tables["fsc"])])])


def _fsc(table: Table) -> Chart:
    """RELION gives each shell's frequency (1/Å) itself: the first tells box times pixel size, the last is Nyquist."""
    frequency = table.columns["rlnResolution"].astype(float)
    shells = len(frequency) - 1
    curves = {name: table.columns[label].astype(float) for label, name in _CURVES.items() if label in table.columns}
    return fsc_chart(curves, 2 * shells, 0.5 / float(frequency[-1]))


def _refined(path: Path, n_iterations: int) -> Report:
    model = read_iteration_model(path)
    facts = [Fact("Resolution", f"{format_number(model.resolution_angstrom, 3)} Å")]
    if len(model.distribution) > 1:
        facts.append(Fact("Classes", ", ".join(f"{share:.0%}" for share in model.distribution)))
    if n_iterations:
        facts.append(Fact("Iterations", f"{n_iterations - 1}"))
    curves = {f"Class {index}" if len(model.fsc) > 1 else "Half-maps": curve for index, curve in enumerate(model.fsc, start=1)}
    items: list[Item] = [fsc_chart(curves, model.box, model.pixel_size_angstrom)] if curves else []
    return Report(path.parent.parent.name, facts=facts, sections=[Section("Resolution", items)] if items else [])
