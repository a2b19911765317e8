"""One tilt series beside its references: the condensed sums of its particles, and its defoci."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset, TiltSeries
from tomobayes.optics import wavelength_angstrom
from tomobayes.tiltseries.boxes import Cut, Cutter, portions_of
from tomobayes.tiltseries.comparison import SAMPLE, Calibration, Comparison, beside, calibrate, compare, cut_for
from tomobayes.tiltseries.condensed import Condensed, condense, together
from tomobayes.tiltseries.defocus import (
    DefocusFit,
    DefocusPrior,
    defocus_of,
    defocus_phase,
    fit_defocus,
    phase_per_angstrom,
    searched_changes,
)
from tomobayes.tiltseries.held_out import Change, HeldOut, held_out, pooled
from tomobayes.tiltseries.magnification import MagnificationSums, magnification_sums
from tomobayes.tiltseries.nuisance import Nuisance, allowing, nuisance
from tomobayes.tiltseries.own_noise import own_noise
from tomobayes.tiltseries.references import References

__all__ = ["DefocusResult", "Observed", "observe", "refined_defocus"]

Float = NDArray[np.float64]

FOLDS = 5
"""Into so many parts the particles are dealt, each to be held out once."""


@dataclass(frozen=True)
class Observed:
    """What the images of a tilt series' particles of one optics group say, condensed, with the nuisances allowed for.

    Parameters
    ----------
    series, optics : indices into the data set
    sums : for the optics of the data set
    level : mean amplitude of the reference in these images
    nuisance : what was allowed for
    particles : how many were compared
    stretch : what they say of anisotropic magnification, where that was asked for
    """

    series: int
    optics: int
    sums: Condensed
    level: float
    nuisance: Nuisance
    particles: int
    stretch: MagnificationSums | None = None


@dataclass(frozen=True)
class DefocusResult:
    """Defocus and astigmatism of one tilt series.

    Parameters
    ----------
    before : (F, 3) as `defocus_of`; after : (F, 3), what is kept
    fit : what was found; held_out : its gain; kept : (F,) whether it is kept
    """

    before: Float
    after: Float
    fit: DefocusFit
    held_out: HeldOut
    kept: NDArray[np.bool_]


def observe(
    cutter: Cutter,
    rows: NDArray[np.int64],
    references: References,
    diameter_angstrom: float,
    max_dose: float | None,
    prior: DefocusPrior | None = None,
    magnification: bool = False,
) -> Observed:
    """Look at every pixel of some particles of one tilt series and optics group, once.

    Parameters
    ----------
    prior : of defoci that may be wrong altogether, None where they are not in question
    magnification : whether anisotropic magnification is looked for
    """
    dataset = cutter.dataset
    cut = cut_for(dataset, rows, references, diameter_angstrom, max_dose)
    sight = _Sight(cutter, references, cut)
    calibration, own = sight.calibrated(rows[:: -(-len(rows) // SAMPLE)])
    fold = _dealt(dataset, references)
    parts, stretch = [], None
    for one in sight.comparisons(rows):
        parts.append(condense(one, calibration, own, fold[one.particles], FOLDS))
        if magnification:
            more = magnification_sums(dataset, one, references, calibration, fold[one.particles], FOLDS)
            stretch = more if stretch is None else stretch + more
    sums = together(parts)
    optics = dataset.optics[int(dataset.particles.optics[rows[0]])]
    phase = phase_per_angstrom(sums.frequency, wavelength_angstrom(optics.voltage_kv))[0]
    known = nuisance(sums) if prior is None else nuisance(sums, phase, searched_changes(prior, phase))
    power = np.bincount(sums.shell, sums.power[:, :, 0].sum((0, 1)))
    level = float(np.average(calibration.amplitude.numpy(), weights=power + 1e-30))
    table = dataset.particles
    return Observed(int(table.tilt_series[rows[0]]), int(table.optics[rows[0]]), allowing(sums, known), level, known, len(rows), stretch)


class _Sight:
    """Comparisons of one tilt series and optics group, in portions; one that holds all of what was asked for last is kept."""

    def __init__(self, cutter: Cutter, references: References, cut: Cut) -> None:
        self._cutter, self._references, self._cut = cutter, references, cut
        self._kept: Comparison | None = None

    def comparisons(self, rows: NDArray[np.int64]) -> Iterator[Comparison]:
        """Of all rows."""
        parts = portions_of(self._cutter.dataset, rows, self._cut, self._references.cut_frequency)
        for part in parts:
            if self._kept is None or not np.array_equal(self._kept.particles, part):
                self._kept = None  # two would be more than a portion
                self._kept = compare(self._cutter, part, self._references, self._cut)
            yield self._kept

    def calibrated(self, sample: NDArray[np.int64]) -> tuple[Calibration, Float]:
        """The calibration by some particles, and how much of their own noise (S,) is in their references."""
        calibration = calibrate(self.comparisons(sample))
        if not self._references.holds_own_noise:
            return calibration, np.zeros(len(calibration.amplitude))
        dataset, swapped = self._cutter.dataset, self._references.swapped
        own, without = own_noise(((one, beside(dataset, one, swapped)) for one in self.comparisons(sample)), calibration)
        return without, own


def _dealt(dataset: Dataset, references: References) -> NDArray[np.int64]:
    """(N,) to which fold particles are dealt: those of a reference stay together, others go in turn through each half-set."""
    if len(references.volumes[0]) > 1:
        return references.fold % FOLDS
    fold = np.zeros(len(dataset.particles), dtype=np.int64)
    for half in (1, 2):
        members = np.flatnonzero(dataset.particles.half == half)
        fold[members] = np.arange(len(members)) % FOLDS
    return fold


def refined_defocus(sums: Condensed, series: TiltSeries, wavelength_angstrom: float, prior: DefocusPrior) -> DefocusResult:
    """Defocus of each tilt, and astigmatism where the series does better with it, kept where they explain particles that were held out."""
    before = defocus_of(series)
    tried = [_defocus(sums, before, wavelength_angstrom, prior, astigmatism) for astigmatism in (False, True)]
    fit, gain = max(tried, key=lambda one: float(one[1].gain.sum()))
    seen = sums.power[:, :, 0].sum((0, -1)) > 0
    kept = (pooled(gain) > 0) & seen
    return DefocusResult(before, np.where(kept[:, None], fit.value, before), fit, gain, kept)


def _defocus(
    sums: Condensed, before: Float, wavelength_angstrom: float, prior: DefocusPrior, astigmatism: bool
) -> tuple[DefocusFit, HeldOut]:
    def change(some: Condensed) -> Change:
        found = fit_defocus(some, before, wavelength_angstrom, prior, astigmatism)
        return Change(even=defocus_phase(found.value - before, some.frequency, wavelength_angstrom))

    return fit_defocus(sums, before, wavelength_angstrom, prior, astigmatism), held_out(sums, change)
