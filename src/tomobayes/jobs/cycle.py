"""``cycle``: refine, refine-ctf and align in turn; every step an ordinary job inside this one's folder, judged by the map it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import find_members, read_dataset, write_dataset
from tomobayes.formats.relion_write import Part
from tomobayes.jobs import verbs
from tomobayes.jobs.cycle_report import Rung, best_of, cycle_report, rung_sentence
from tomobayes.jobs.experiment import load_experiment, symmetry_group, with_halves
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import Align, Cycle, Reconstruct, Refine, RefineCtf
from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.references import solvent_mask
from tomobayes.maps.fsc import masked_fsc
from tomobayes.project import Ending, checkpoints, ending

__all__ = ["run"]

CHANCE = 0.05
"""Resolved shells by which two maps may differ and still be equally good."""
_HALVES = ("half1.mrc", "half2.mrc")


@dataclass(frozen=True)
class _Frame:
    """What all steps share: where they work, on which boxes, and how their maps are judged."""

    parameters: Cycle
    folder: Path
    box: int
    binning: float
    mask: NDArray[np.float32]
    symmetry_order: int

    def options(self, *names: str) -> dict[str, Any]:
        """Options that a step takes over as they are."""
        return {name: getattr(self.parameters, name) for name in names}


def run(parameters: Cycle, context: Context) -> Path:
    """Write a folder for each step, and the best state of the experiment with its half-maps."""
    experiment, _ = with_halves(load_experiment(parameters, context.log), parameters.particle_diameter, parameters.random_seed)
    box, pixel = experiment.source.box, experiment.pixel_size_angstrom
    mask = solvent_mask(parameters.mask, box, pixel, parameters.particle_diameter)
    order = len(symmetry_group(parameters.sym))
    frame = _Frame(parameters, context.open([*experiment.inputs, parameters.mask]), box, experiment.source.binning, mask, order)
    start: tuple[Part, ...] = ("particles",)
    write_dataset(frame.folder / "start", experiment.dataset, what=start, members=experiment.members)
    ladder: list[Rung] = []
    for rung in _climb(frame):
        ladder.append(rung)
        context.log.say(rung_sentence(rung))
        context.show(cycle_report(ladder, finished=False))
    context.output(*_write_best(frame, best_of(ladder)))
    context.show(cycle_report(ladder, finished=True))
    return frame.folder


def _climb(frame: _Frame) -> Iterator[Rung]:
    """The state before, and after each step, until a round brings no better map."""
    ladder = [_judged(frame, 0, "start", frame.folder / "start", None)]
    yield ladder[0]
    for number in range(1, frame.parameters.rounds + 1):
        before = best_of(ladder)
        for step in frame.parameters.steps:
            job = _stepped(frame, number, step, [rung for rung in ladder if rung.accepted][-1])
            ladder.append(_judged(frame, number, step, job, best_of(ladder)))
            yield ladder[-1]
        if best_of(ladder).resolved_shells < before.resolved_shells + CHANCE:
            return


def _stepped(frame: _Frame, number: int, step: str, state: Rung) -> Path:
    """Do one step from a state, unless a run before this one has; give its folder."""
    folder = frame.folder / f"round{number}" / step
    half1, half2 = (state.maps / name for name in _HALVES)
    common = {"i": state.job, "o": folder, **frame.options("particle_diameter", "sym", "mask", "max_dose", "j")}
    if step == "refine":
        options = frame.options("extract_box", "min_frames", "sigma_ang", "offset_range", "random_seed")
        _finish(verbs.refine, Refine, {**common, **options, "box": frame.box, "bin": frame.binning, "images": "series"})
    elif step == "refine-ctf":
        _finish(verbs.refine_ctf, RefineCtf, {**common, "ref1": half1, "ref2": half2, "do_defocus": True, "do_scale": True})
    else:
        _finish(verbs.align, Align, {**common, "ref1": half1, "ref2": half2, "motion": not frame.parameters.no_motion})
    return folder


def _judged(frame: _Frame, number: int, step: str, job: Path, best: Rung | None) -> Rung:
    """What the maps of a state say, all made in the same way; it is built on if it is as good as the best so far, but for chance."""
    maps = job.with_name(f"{job.name}_map")
    options = frame.options("particle_diameter", "sym", "extract_box", "max_dose", "min_frames", "j", "random_seed")
    given = {"i": job, "o": maps, **options, "box": frame.box, "bin": frame.binning, "images": "series"}
    _finish(verbs.reconstruct, Reconstruct, given)
    first, second = (read_map(maps / name) for name in _HALVES)
    curves = masked_fsc(first.data, second.data, first.pixel_size_angstrom, frame.mask, symmetry_order=frame.symmetry_order)
    dataset = read_dataset(job)
    rung = Rung(number, step, job, maps, curves, dataset, accepted=True)
    if best is None:
        return rung
    return replace(rung, accepted=rung.resolved_shells >= best.resolved_shells - CHANCE)


def _finish(verb: Callable[[Any], Path], kind: type[JobParameters], options: dict[str, Any]) -> None:
    """Run a job to its end: not at all where it is done, from its last checkpoint where it has one, else from its beginning."""
    folder: Path = options["o"]
    if ending(folder) is Ending.SUCCESS:
        return
    there = folder.exists() and any(folder.iterdir())
    further = there and bool(checkpoints(folder))
    verb(kind(**options, continue_=further, overwrite=there and not further))


def _write_best(frame: _Frame, best: Rung) -> list[Path]:
    """The best state as an experiment of its own, beside its half-maps and their mean."""
    files = [frame.folder / name for name in (*_HALVES, "merged.mrc")]
    halves = [read_map(best.maps / name) for name in _HALVES]
    merged = replace(halves[0], data=np.mean([half.data for half in halves], axis=0, dtype=np.float32))
    for path, one in zip(files, (*halves, merged), strict=True):
        write_map(path, one)
    reference = replace(best.dataset.reference, half1=files[0], half2=files[1], mask=frame.parameters.mask)
    written = write_dataset(frame.folder, replace(best.dataset, reference=reference), members=find_members(best.job))
    return [*files, written]
