"""What ``check`` asks the images: hand of the defocus, sign of the contrast, hand of a reference, hand of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.formats.mrc import read_map
from tomobayes.formats.problems import collecting
from tomobayes.fourier.grids import good_box
from tomobayes.imaging.gathering import Source, choose_engine, coarsest_pixel, usable_particles
from tomobayes.inference.verdicts.contrast import contrast
from tomobayes.inference.verdicts.defocus_hand import defocus_hand
from tomobayes.inference.verdicts.map_hand import map_hand
from tomobayes.inference.verdicts.references import reference_hand
from tomobayes.inference.verdicts.verdict import Verdict
from tomobayes.jobs.describe import unoriented
from tomobayes.jobs.experiment import symmetry_group
from tomobayes.jobs.log import Log
from tomobayes.jobs.parameters import Check
from tomobayes.jobs.simulated_models import read_scatterers
from tomobayes.maps.filters import low_pass
from tomobayes.maps.masks import sphere_mask
from tomobayes.maps.resampling import change_pixel_size
from tomobayes.model import BadInput, Dataset, Map, Problem
from tomobayes.particles.halves import assign_halves
from tomobayes.report import Item, format_number, slices_of
from tomobayes.simulation.density import density_map, smallest_box
from tomobayes.simulation.scattering import Scatterers

__all__ = ["Measured", "Questions", "measured", "what_to_measure"]

FINE, COARSE, WIDE = (56, 1.3), (22, 1.4), (16, 2.5)
"""Pixels along the particle's diameter, and the box's edge in diameters: for the defocus and maps, for searches, and for a mere blob."""
SHOWN = 6.0
"""Pixels: resolution of the map that is shown; what few particles say of finer detail is noise."""
BLUR = 32.0
"""B factor of an atomic model in squared pixels: amplitudes fall to 1/e² at the Nyquist frequency."""


@dataclass(frozen=True)
class Measured:
    """One question and its answer.

    Parameters
    ----------
    told : what the tables, or the user, say; other : the alternative
    remedy : what to do if the alternative is right
    figures : to show with it
    """

    question: str
    told: str
    other: str
    remedy: str
    verdict: Verdict
    figures: Sequence[Item] = ()

    @property
    def said(self) -> str:
        """What the images say."""
        return {"right": self.told, "wrong": self.other, "undecided": "cannot tell"}[self.verdict.answer]

    @property
    def sureness(self) -> str:
        """Probability of what they say, as far as its digits mean something."""
        likelier = max(self.verdict.probability, 1 - self.verdict.probability)
        return "> 99.99 %" if likelier > 0.9999 else f"{100 * likelier:.4g} %"

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if self.verdict.answer == "undecided":
            leaning = self.told if self.verdict.probability >= 0.5 else self.other
            return f"{self.question}: the images cannot tell; {leaning} is the likelier, to {self.sureness}."
        agreeing = "the images agree" if self.verdict.answer == "right" else f"told as {self.told}, but the images say otherwise"
        advice = "" if self.verdict.answer == "right" else f" {self.remedy}"
        return f"{self.question}: {self.said}, to {self.sureness} ({agreeing}; {self.verdict.witnesses} witnesses).{advice}"


@dataclass(frozen=True)
class Questions:
    """What is to be measured, on what: read and checked.

    Parameters
    ----------
    dataset : with half-sets; diameter_angstrom : None where nothing is asked
    """

    dataset: Dataset
    diameter_angstrom: float | None
    group: NDArray[np.float64]
    reference: Map | None
    model: Scatterers | None
    max_particles: int
    sigma_offset_angstrom: float

    def source(self, scale: tuple[int, float]) -> Source:
        """Boxes in which the particle has a given number of pixels, or as many as there are."""
        assert self.diameter_angstrom is not None
        unbinned = coarsest_pixel(self.dataset)
        pixel = max(unbinned, self.diameter_angstrom / scale[0])
        return Source("series", good_box(int(scale[1] * self.diameter_angstrom / pixel) // 2 * 2 + 2), pixel / unbinned)

    def chosen(self, source: Source) -> NDArray[np.bool_]:
        """(P,) the particles that are asked, spread evenly over all that are usable."""
        rows = np.flatnonzero(usable_particles(self.dataset, source))
        chosen = np.zeros(len(self.dataset.particles), dtype=bool)
        chosen[rows[np.linspace(0, len(rows) - 1, min(len(rows), self.max_particles)).astype(np.int64)] if len(rows) else rows] = True
        return chosen


def what_to_measure(parameters: Check, dataset: Dataset) -> Questions:
    """The questions that options and data allow; refuses faulty maps and models."""
    problems: list[Problem] = []
    reference, model, group = None, None, np.eye(3)[None]
    with collecting(problems):
        group = symmetry_group(parameters.sym)
    if parameters.ref is not None:
        with collecting(problems):
            reference = read_map(parameters.ref)
            problems += _flat(parameters.ref, reference)
    if parameters.model is not None:
        with collecting(problems):
            model = read_scatterers(parameters.model)
    if parameters.particle_diameter is not None and choose_engine(dataset) != "series":
        remedy = "name particles without stored images, or leave out --particle-diameter"
        why = "their CTF is in them for good: whether it was the right one they cannot tell"
        problems.append(Problem(None, "--particle-diameter", "the particles are stored images", why, remedy))
    if problems:
        raise BadInput(problems)
    return Questions(
        _in_halves(dataset, parameters.particle_diameter),
        parameters.particle_diameter,
        group,
        reference,
        model,
        parameters.max_particles,
        parameters.sigma_offset,
    )


def _flat(path: Path, reference: Map) -> list[Problem]:
    remedy = "give a map of the particle"
    return [Problem(path, "voxels", "is constant", remedy=remedy)] if float(np.ptp(reference.data)) == 0 else []


def _in_halves(dataset: Dataset, diameter_angstrom: float | None) -> Dataset:
    particles = dataset.particles
    if diameter_angstrom is None or np.isin(particles.half, (1, 2)).all():
        return dataset
    half = assign_halves(particles.centre_angstrom, particles.tilt_series, diameter_angstrom, 0)
    return dataset.with_particles(replace(particles, half=half))


def measured(questions: Questions, log: Log) -> list[Measured]:
    """Ask the images, one question after the other."""
    if questions.diameter_angstrom is None:
        return []
    answers: list[Measured] = []
    with log.steps("Asking the images", None):
        answers += _contrast(questions)
        own_map = None
        if not unoriented(questions.dataset):
            hand, own_map = _defocus(questions)
            answers.append(hand)
        if questions.reference is not None:
            answers.append(_reference(questions, questions.reference))
        if questions.model is not None and (questions.reference or own_map) is not None:
            answers.append(_against_model(questions, questions.model, own_map))
    return answers


def _contrast(questions: Questions) -> list[Measured]:
    source = questions.source(WIDE)
    chosen = questions.chosen(source)
    if not chosen.any():
        return []
    assert questions.diameter_angstrom is not None
    found = contrast(questions.dataset, source, chosen, questions.diameter_angstrom)
    remedy = "Multiply the tilt images by -1: as recorded, particles are darker than ice."
    return [Measured("Contrast of the tilt images", "dark particles", "bright particles", remedy, found)]


def _defocus(questions: Questions) -> tuple[Measured, Map]:
    source = questions.source(FINE)
    assert questions.diameter_angstrom is not None
    pixel = coarsest_pixel(questions.dataset) * source.binning
    mask = sphere_mask(source.box, questions.diameter_angstrom / pixel)
    found = defocus_hand(questions.dataset, source, questions.chosen(source), mask, questions.group)
    hand = questions.dataset.tilt_series[int(questions.dataset.particles.tilt_series[0])].hand
    told, other = (f"rlnTomoHand {sign * hand:+.0f}" for sign in (1, -1))
    odd = [name for name, one in found.per_series.items() if one.answer == "wrong"]
    which = f" (those of {', '.join(odd)})" if odd and len(odd) < len(found.per_series) else ""
    remedy = f"Change the sign of rlnTomoHand in tomograms.star{which}, or the sign of the tilt angles and the hand of the maps with it."
    own = Map(found.map_told.numpy() * mask, pixel)
    shown = Map(low_pass(own.data, pixel, SHOWN * pixel), pixel)
    figure = slices_of(shown, f"Map from the particles' poses, as told, to {format_number(SHOWN * pixel, 2)} Å", "poses")
    return Measured("Hand of the defocus", told, other, remedy, found.verdict, [figure]), own


def _reference(questions: Questions, reference: Map) -> Measured:
    source = questions.source(COARSE)
    assert questions.diameter_angstrom is not None
    pixel = coarsest_pixel(questions.dataset) * source.binning
    if reference.pixel_size_angstrom > pixel:
        pixel = reference.pixel_size_angstrom
        source = replace(source, binning=pixel / coarsest_pixel(questions.dataset))
    mask = sphere_mask(source.box, questions.diameter_angstrom / pixel)
    density = change_pixel_size(reference.data, reference.pixel_size_angstrom, pixel, source.box) * mask
    found = reference_hand(
        questions.dataset,
        source,
        questions.chosen(source),
        torch.from_numpy(density),
        questions.diameter_angstrom,
        questions.group,
        questions.sigma_offset_angstrom,
    )
    remedy = "Mirror the reference; or, if it is known to be right, change the sign of the tilt angles and of rlnTomoHand."
    return Measured("Hand of the reference", "as given", "its mirror image", remedy, found)


def _against_model(questions: Questions, model: Scatterers, own_map: Map | None) -> Measured:
    density, name = (questions.reference, "reference") if questions.reference else (own_map, "map from the poses")
    assert density is not None and questions.diameter_angstrom is not None
    pixel = max(density.pixel_size_angstrom, questions.diameter_angstrom / FINE[0])
    box = max(good_box(int(FINE[1] * questions.diameter_angstrom / pixel) // 2 * 2 + 2), smallest_box(model, pixel))
    resampled = Map(change_pixel_size(density.data, density.pixel_size_angstrom, pixel, box), pixel)
    found = map_hand(resampled, density_map(model, box, pixel, BLUR * pixel**2), questions.diameter_angstrom)
    remedy = "Mirror the map; if it came from these images, the sign of the tilt angles and of rlnTomoHand is wrong."
    return Measured(f"Hand of the {name} beside the atomic model", "the model's", "the other one", remedy, found)
