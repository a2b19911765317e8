"""What a form offers for a path: outputs of earlier jobs that fit, the newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tomobayes.jobs.parameters import HalfMapParameters, Mask, Parameters
from tomobayes.project import Job, Node, Status
from tomobayes.web.fields import as_text

__all__ = ["FOLLOWERS", "Offer", "after", "offers", "upstream"]

FOLLOWERS = {
    "simulate": ("reconstruct", "refine"),
    "import": ("check", "reconstruct", "initial-model", "refine"),
    "initial-model": ("refine", "mask"),
    "reconstruct": ("refine", "postprocess", "map-back"),
    "refine": ("mask", "postprocess", "classify", "refine-ctf", "align", "select", "map-back", "export"),
    "classify": ("select", "refine"),
    "mask": ("postprocess", "refine"),
    "postprocess": ("local-resolution", "refine-ctf", "align"),
    "refine-ctf": ("align", "refine"),
    "align": ("refine", "refine-ctf"),
    "select": ("refine", "reconstruct", "export"),
    "dedupe": ("refine", "reconstruct"),
    "sample-surface": ("dedupe", "refine"),
}
"""Verb -> verbs that one may want next; their forms begin with what this job offers."""

HANDED_ON = ("particle_diameter", "sym")
"""What a job most likely has in common with those that feed it."""

_KINDS = {
    "p": "ParticleGroupMetadata",
    "t": "TomogramGroupMetadata",
    "mot": "TomoTrajectoryData",
    "mask": "Mask3D",
    "focus_mask": "Mask3D",
    "ref": "DensityMap.mrc",
    "ref1": "DensityMap.mrc.halfmap",
    "ref2": "DensityMap.mrc.halfmap",
    "half1": "DensityMap.mrc.halfmap",
    "half2": "DensityMap.mrc.halfmap",
    "fsc": "ProcessData",
}
"""Option -> how the label of the files begins that it takes."""


@dataclass(frozen=True)
class Offer:
    """A value that a field may take, and which job it comes from."""

    value: str
    about: str


def offers(parameters: type[Parameters], name: str, jobs: Sequence[Job]) -> list[Offer]:
    """What earlier jobs offer for one option of a verb."""
    return [offer for job in reversed(jobs) if job.status is not Status.SCHEDULED for offer in _of(parameters, name)(job)]


def after(parameters: type[Parameters], job: Job, jobs: Sequence[Job]) -> dict[str, str]:
    """What a form of a verb begins with when it follows a job: input and mask of that job, or else of the nearest that fed it."""
    line = upstream(job, {other.name: other for other in jobs})
    values = {}
    for name in ("i", "mask"):
        givers = line if name == "i" else line[:1]
        offered = [offer for giver in givers if name in parameters.model_fields for offer in offers(parameters, name, [giver])]
        if offered:
            values[name] = offered[0].value
    for name in HANDED_ON:
        known = [giver.record.parameters[name] for giver in line if giver.record and name in giver.record.parameters]
        if known and name in parameters.model_fields:
            values[name] = as_text(known[0])
    return values


def upstream(job: Job, jobs: Mapping[str, Job]) -> list[Job]:
    """A job and all that fed it, the nearest first."""
    line = [job]
    for one in line:
        line += [jobs[name] for name in one.inputs if name in jobs and jobs[name] not in line]
    return line


def _of(parameters: type[Parameters], name: str) -> Callable[[Job], Iterator[Offer]]:
    if name == "i" and issubclass(parameters, Mask):
        return lambda job: _files(job, "DensityMap")
    if name == "i" and issubclass(parameters, HalfMapParameters):
        return lambda job: _folder(job, "DensityMap.mrc.halfmap")
    if name in ("i", "jobs", "sets"):
        return lambda job: _folder(job, "TomoOptimisationSet")
    if name not in _KINDS:
        return lambda job: iter(())
    return lambda job: _files(job, _KINDS[name], exactly=name == "ref")


def _files(job: Job, label: str, exactly: bool = False) -> Iterator[Offer]:
    for node in job.outputs:
        if node.kind.removesuffix(".relion") == label if exactly else node.kind.startswith(label):
            yield Offer(node.name, _about(job))


def _folder(job: Job, label: str) -> Iterator[Offer]:
    if any(_fits(node, label) for node in job.outputs):
        yield Offer(job.name, _about(job))


def _fits(node: Node, label: str) -> bool:
    return node.kind.startswith(label)


def _about(job: Job) -> str:
    return f"{job.alias or job.type}, {job.status.value}"
