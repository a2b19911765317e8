"""One tilt series aligned: its images met with the references, tables, fits, what is kept, and how well it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.imaging.views import views_of
from tomobayes.model import Dataset
from tomobayes.model.deformation import Deformation
from tomobayes.tiltseries.alignment import Choice, Fit, Fitter, weak_prior
from tomobayes.tiltseries.boxes import Cut, Cutter, portions_of
from tomobayes.tiltseries.comparison import SAMPLE, Comparison, beside, calibrate, compare, cut_for
from tomobayes.tiltseries.information import Prior, Uncertainty
from tomobayes.tiltseries.keeping import Kept, chosen_by_held_out
from tomobayes.tiltseries.motion import chronological_rank, left_out_share
from tomobayes.tiltseries.motion_scales import USUAL_ANGLE, USUAL_POSITION, MotionPlan, Scales, dose_per_tilt, learned_scales, modes_of
from tomobayes.tiltseries.own_noise import own_agreement, own_noise
from tomobayes.tiltseries.placement import DeformationPlan, Placement, placement_of
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.signal import Signal, measured_signal, signal_of
from tomobayes.tiltseries.tables import Tables, joined_tables, some_of, table_step, tables

__all__ = ["AlignSettings", "AlignedSeries", "Group", "align_series", "compared_groups", "largest", "share_at_edge", "tables_of"]


SCALES_FROM = 40
"""Particles of a tilt series, at most half of them, from which the widths of priors are learned: of motion each tells as often as there
are tilts."""
OWN_NOISE_FROM = 4
"""Of the particles that tell of the signal, every so manieth tells how much of their own noise is in the reference."""


@dataclass(frozen=True)
class AlignSettings:
    """What the user decides.

    Parameters
    ----------
    reach_angstrom : farthest displacement that is looked for, along each axis of the images
    diameter_angstrom : of the particle
    angles, shifts, positions : whether these are fitted; motion, deformation : how, or None
    regularisation : λ of λ·c² on the deformation's coefficients
    first, last : chronological range of tilts that are aligned, from 0, the last one included; None: to the end
    max_dose : e/Å²; images taken after more are not looked at
    """

    reach_angstrom: float
    diameter_angstrom: float
    angles: bool = True
    shifts: bool = True
    positions: bool = True
    motion: MotionPlan | None = None
    deformation: DeformationPlan | None = None
    regularisation: float = 0.0
    first: int = 0
    last: int | None = None
    max_dose: float | None = None

    @property
    def unknown_scales(self) -> tuple[bool, bool, bool, bool]:
        """Which of the priors' scales are learned: velocity and divergence of motion, angles, positions."""
        motion = self.motion
        velocity, divergence = motion is not None and motion.velocity is None, motion is not None and motion.divergence is None
        return velocity, divergence, self.angles, self.positions

    def choice(self, dose: NDArray[np.float64]) -> Choice:
        """Everything that is wanted of a tilt series whose tilts had such doses (F,)."""
        rank = chronological_rank(dose)
        tilts = torch.from_numpy((rank >= self.first) & (rank <= (len(dose) if self.last is None else self.last)))
        return Choice(tilts, self.angles, self.shifts, self.positions, self.motion is not None, self.deformation is not None)


@dataclass(frozen=True)
class AlignedSeries:
    """How a tilt series is aligned, counted from the data set that was given.

    Parameters
    ----------
    rows : (P,) of the data set
    parameters : (N,) of the placement; kept : what was looked at to decide which; None before the last round
    uncertainty : of the parameters
    signal : strength of the signal
    scales : of the priors, as learned
    at_edge : share of visible pairs whose displacement is farther than the tables reach
    left_out : share of the motion's variance that its modes leave out
    """

    rows: NDArray[np.int64]
    placement: Placement
    parameters: Tensor
    displacement: Tensor
    uncertainty: Uncertainty
    signal: Signal
    kept: Kept | None = None
    scales: Scales = field(default_factory=lambda: Scales(None))
    at_edge: float = 0.0
    left_out: float = 0.0


@dataclass
class Group:
    """The images of a tilt series' particles of one optics group, cut anew where they are too many to keep, and their signal.

    Parameters
    ----------
    members : (p,) which of the tilt series' particles they are; origin : (p, F, 2) Å from where the fit counts to where they are cut
    own : (S,) how much of a particle's own noise its reference holds; None for none
    """

    cutter: Cutter
    rows: NDArray[np.int64]
    members: NDArray[np.int64]
    references: References
    cut: Cut
    origin: Tensor
    signal: Signal | None = None
    own: Tensor | None = None
    kept: Comparison | None = None

    def portions(self) -> Iterator[tuple[NDArray[np.int64], Comparison]]:
        """Comparisons, and which of the group's particles they hold."""
        return self._compared(np.arange(len(self.rows)))

    def _compared(self, some: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Comparison]]:
        parts = portions_of(self.cutter.dataset, self.rows[some], self.cut, self.references.cut_frequency)
        alone = len(parts) == 1 and len(some) == len(self.rows)
        for rows, part in zip(parts, np.split(some, np.cumsum([len(rows) for rows in parts])[:-1]), strict=True):
            one = self.kept if alone and self.kept is not None else compare(self.cutter, rows, self.references, self.cut)
            self.kept = one if alone else None
            yield part, one

    def learn(self, displacement: Tensor | None) -> None:
        """The signal of some of the particles, where a fit has put them (P, F, 2); without one, where they are cut."""
        some = _spread_out(len(self.rows), SAMPLE)
        if self.signal is None:
            calibration = calibrate(one for _, one in self._compared(some))
            if self.references.holds_own_noise:
                own, calibration = own_noise(self._beside_both(some), calibration)
                self.own = torch.from_numpy(own)
            self.signal = signal_of(calibration)
        if displacement is not None:
            compared = ((one, displacement[self.members[part]] - self.origin[part]) for part, one in self._compared(some))
            self.signal = measured_signal(compared, self.signal.sigma2, self.own)

    def _beside_both(self, some: NDArray[np.int64]) -> Iterator[tuple[Comparison, Comparison]]:
        """Some of the particles beside the map of their own half-set, and beside that of the other one."""
        for _, one in self._compared(some):
            few = one.every(OWN_NOISE_FROM)
            yield few, beside(self.cutter.dataset, few, self.references.swapped)

    @property
    def found_signal(self) -> Signal:
        """What `learn` has learned."""
        if self.signal is None:
            raise RuntimeError("the signal of a group must be learned before it is used")
        return self.signal

    def tables(self, reach_angstrom: float) -> Tables:
        """Of all its particles."""
        step = table_step(self.references.finest_frequency)
        found = []
        for part, one in self.portions():
            scale, precision = self.found_signal.scale(one.shell), self.found_signal.precision(one.shell)
            by_chance = None if self.own is None else own_agreement(one, self.own)
            found.append(tables(one, scale, precision, step, reach_angstrom, self.origin[part], by_chance))
        return joined_tables(found)


def align_series(
    given: Dataset,
    now: Cutter,
    rows: NDArray[np.int64],
    references: References,
    settings: AlignSettings,
    before: AlignedSeries | None,
    final: bool,
) -> AlignedSeries:
    """Align one tilt series.

    Parameters
    ----------
    given : the data set that the alignment counts from; now : cuts images where the rounds so far have the particles
    rows : (P,) the particles of the tilt series
    before : the last round's result
    final : whether to find out what is to be kept; what is not, stays as given
    """
    groups = compared_groups(given, now, rows, references, settings)
    series = given.tilt_series[int(given.particles.tilt_series[rows[0]])]
    wanted = settings.choice(series.dose)
    for group in groups:
        group.learn(None if before is None else before.displacement)
    table = tables_of(groups, settings.reach_angstrom)

    prior, few = _prior_of(given, rows, settings), _spread_out(len(rows), min(SCALES_FROM, -(-len(rows) // 2)))
    if before is None:
        start = Scales(None if settings.motion is None else settings.motion.usual, USUAL_ANGLE, USUAL_POSITION)
        placement, narrow = prior(start)
        around = Fitter(placement, table, narrow, wanted).fit().displacement
        if final:  # else the next round measures the signal, beside better references
            for group in groups:
                group.learn(around)
            table = tables_of(groups, settings.reach_angstrom)
        sample, prior_of_few = some_of(table, few), _prior_of(given, rows[few], settings)
        scales = learned_scales(start, settings.unknown_scales, prior_of_few, sample, wanted, around[few])
    else:
        scales = before.scales
    placement, narrow = prior(scales)
    judges = torch.ones(len(rows), dtype=torch.bool)
    if any(settings.unknown_scales):
        judges[few] = False
    kept = chosen_by_held_out(placement, table, narrow, wanted, judges) if final else None
    fitter = Fitter(placement, table, narrow, wanted if kept is None else kept.choice)
    fit = fitter.fit(start=None if before is None else before.parameters)
    return AlignedSeries(
        rows=rows,
        placement=placement,
        parameters=fit.parameters,
        displacement=fit.displacement,
        uncertainty=fitter.uncertainty(),
        signal=largest(groups).found_signal,
        kept=kept,
        scales=scales,
        at_edge=share_at_edge(table, fit),
        left_out=_left_out(placement, scales, series.dose),
    )


def _left_out(placement: Placement, scales: Scales, dose: NDArray[np.float64]) -> float:
    if scales.motion is None or scales.motion.velocity is None:
        return 0.0
    return left_out_share(placement.basis.numpy(), scales.motion.velocity * dose_per_tilt(dose))


def _prior_of(given: Dataset, rows: NDArray[np.int64], settings: AlignSettings) -> Callable[[Scales], tuple[Placement, Prior]]:
    """Placement and prior of some particles of a tilt series under any scales."""
    series = given.tilt_series[int(given.particles.tilt_series[rows[0]])]
    kernel = "square-exponential" if settings.motion is None else settings.motion.kernel
    modes = modes_of(given.particles.centre_angstrom[rows], series.dose, kernel)

    def of(scales: Scales) -> tuple[Placement, Prior]:
        basis = None if scales.motion is None else modes(scales.motion)
        placement = placement_of(given, rows, basis, settings.deformation)
        weak = weak_prior(placement, _present(series.deformation, settings.deformation), settings.regularisation)
        return placement, weak.narrowed(scales.angles, scales.positions, len(rows))

    return of


def _spread_out(count: int, wanted: int) -> NDArray[np.int64]:
    """So many of ``count`` places at most, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64))


def compared_groups(given: Dataset, now: Cutter, rows: NDArray[np.int64], references: References, settings: AlignSettings) -> list[Group]:
    """The particles of a tilt series by optics group; parameters as in `align_series`."""
    pixel = given.tilt_series[int(given.particles.tilt_series[rows[0]])].pixel_size_angstrom
    optics = given.particles.optics[rows]
    found = []
    for one in np.unique(optics).tolist():
        members = np.flatnonzero(optics == one)
        old, new = (views_of(dataset, rows[members]).centre_px for dataset in (given, now.dataset))
        assert old is not None and new is not None
        cut = cut_for(now.dataset, rows[members], references, settings.diameter_angstrom, settings.max_dose)
        found.append(Group(now, rows[members], members, references, cut, pixel * (new - old)))
    return found


def tables_of(groups: Sequence[Group], reach_angstrom: float) -> Tables:
    """Of all groups, in the order of the tilt series' particles."""
    table = joined_tables([group.tables(reach_angstrom) for group in groups])
    if len(groups) == 1:
        return table
    return some_of(table, np.argsort(np.concatenate([group.members for group in groups])))


def _present(deformation: Deformation | None, plan: DeformationPlan | None) -> Tensor | None:
    """Coefficients in force, where they are of the kind that is fitted."""
    if deformation is None or plan is None:
        return None
    return torch.from_numpy(np.ascontiguousarray(deformation.coefficients))


def share_at_edge(table: Tables, fit: Fit) -> float:
    """The share of visible pairs that a fit puts farther away than their tables reach."""
    seen = table.information.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    beyond = ((fit.displacement - table.origin_angstrom).abs() > table.reach_angstrom).any(-1)
    return float((beyond & seen).sum()) / max(1, int(seen.sum()))


def largest(groups: Sequence[Group]) -> Group:
    """The optics group with the most particles, by which noise and signal of the whole tilt series are known best."""
    return max(groups, key=lambda group: len(group.rows))
