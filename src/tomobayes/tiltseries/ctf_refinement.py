"""Optics of tilt series from their particles: one pass over the images of each series, then everything that series share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset, TiltSeries
from tomobayes.optics import wavelength_angstrom
from tomobayes.tiltseries.condensed import Condensed, beside, turned
from tomobayes.tiltseries.defocus import DefocusPrior, defocus_phase, with_defocus
from tomobayes.tiltseries.optics_of_series import DefocusResult, Observed, observe, refined_defocus
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.scale import Amplitudes, ScaleModel, ScaleResult, amplitudes, refined_scales

__all__ = ["CtfRefinement", "CtfSettings", "SeriesOptics", "finished", "refined_series"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class CtfSettings:
    """What is refined.

    Parameters
    ----------
    diameter_angstrom : of the particle; max_dose : e/Å², tilts after more are left out
    defocus : what is believed of defoci, None not to refine them
    scale : how scales are refined, None not to
    """

    diameter_angstrom: float
    max_dose: float | None = None
    defocus: DefocusPrior | None = None
    scale: ScaleModel | None = None


@dataclass(frozen=True)
class SeriesOptics:
    """What was found of one tilt series.

    Parameters
    ----------
    shift_angstrom : (F, 2) rms of which tells how well the images were aligned
    """

    index: int
    particles: int
    defocus: DefocusResult | None
    amplitudes: Amplitudes
    level: float
    shift_angstrom: Float
    frequency: Float
    sums: Condensed


@dataclass(frozen=True)
class CtfRefinement:
    """The outcome: the data set with what was kept, and what was found of each tilt series that has particles."""

    dataset: Dataset
    series: tuple[SeriesOptics, ...]
    scales: tuple[ScaleResult, ...] | None


def refined_series(dataset: Dataset, usable: NDArray[np.bool_], references: References, settings: CtfSettings) -> Iterator[SeriesOptics]:
    """Look at one tilt series after the other."""
    table = dataset.particles
    for index in np.unique(table.tilt_series[usable]).tolist():
        mine = np.flatnonzero(usable & (table.tilt_series == index))
        groups = [mine[table.optics[mine] == optics] for optics in np.unique(table.optics[mine])]
        seen = [observe(dataset, rows, references, settings.diameter_angstrom, settings.max_dose) for rows in groups]
        yield _series(dataset, index, seen, settings)


def _series(dataset: Dataset, index: int, seen: Sequence[Observed], settings: CtfSettings) -> SeriesOptics:
    sums = beside([one.sums for one in seen])
    result = None
    if settings.defocus is not None:
        wavelength = wavelength_angstrom(dataset.optics[seen[0].optics].voltage_kv)
        result = refined_defocus(sums, dataset.tilt_series[index], wavelength, settings.defocus)
        sums = turned(sums, even=defocus_phase(result.after - result.before, sums.frequency, wavelength))
    weight = [one.particles for one in seen]
    return SeriesOptics(
        index=index,
        particles=sum(weight),
        defocus=result,
        amplitudes=amplitudes(turned(sums, gain=1 / seen[0].nuisance.scale[:, None] * np.ones(sums.frequency.shape[0]))),
        level=float(np.average([one.level for one in seen], weights=weight)),
        shift_angstrom=seen[0].nuisance.shift_angstrom,
        frequency=sums.frequency,
        sums=sums,
    )


def finished(dataset: Dataset, found: Sequence[SeriesOptics], settings: CtfSettings) -> CtfRefinement:
    """The data set with everything that is kept."""
    scales = None
    if settings.scale is not None:
        series = [dataset.tilt_series[one.index] for one in found]
        scales = refined_scales([one.amplitudes for one in found], [one.level for one in found], series, settings.scale)
    refined = list(dataset.tilt_series)
    for place, one in enumerate(found):
        refined[one.index] = _refined(dataset.tilt_series[one.index], one.defocus, None if scales is None else scales[place])
    return CtfRefinement(replace(dataset, tilt_series=tuple(refined)), tuple(found), scales)


def _refined(series: TiltSeries, defocus: DefocusResult | None, scale: ScaleResult | None) -> TiltSeries:
    if defocus is not None:
        u, v, angle = with_defocus(defocus.after)
        kept = defocus.kept
        series = replace(
            series,
            defocus_u_angstrom=np.where(kept, u, series.defocus_u_angstrom),
            defocus_v_angstrom=np.where(kept, v, series.defocus_v_angstrom),
            astigmatism_radians=np.where(kept, angle, series.astigmatism_radians),
        )
    return series if scale is None else replace(series, scale=scale.after)
