"""Optics of tilt series from their particles: one pass over the images of each series, then everything that series share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.compute.executors import Executor
from tomobayes.model import Dataset, TiltSeries
from tomobayes.optics import wavelength_angstrom
from tomobayes.tiltseries.aberrations import AberrationResult, Parity, added_up, refined_aberrations
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.condensed import Condensed, beside, turned
from tomobayes.tiltseries.defocus import DefocusPrior, defocus_phase, with_defocus
from tomobayes.tiltseries.each_series import each_series
from tomobayes.tiltseries.lambert import Lambert, about_axis, normal_of
from tomobayes.tiltseries.magnification import MagnificationResult, MagnificationSums, refined_magnification
from tomobayes.tiltseries.optics_of_series import DefocusResult, Observed, observe, refined_defocus
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.scale import Amplitudes, ScaleModel, ScaleResult, amplitudes, refined_scales

__all__ = ["CtfRefinement", "CtfSettings", "SeriesOptics", "finished", "refined_series", "stages"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class CtfSettings:
    """What is refined.

    Parameters
    ----------
    diameter_angstrom : of the particle; max_dose : e/Å², tilts after more are left out
    defocus : what is believed of defoci, None not to refine them
    scale : how scales are refined, None not to
    aberrations : which are refined; lowest_frequency : 1/Å, from which on
    magnification : whether its anisotropy is refined
    """

    diameter_angstrom: float
    max_dose: float | None = None
    defocus: DefocusPrior | None = None
    scale: ScaleModel | None = None
    aberrations: tuple[Parity, ...] = ()
    lowest_frequency: float = 1 / 30
    magnification: bool = False


@dataclass(frozen=True)
class SeriesOptics:
    """What was found of one tilt series.

    Parameters
    ----------
    amplitudes : on the grey scale of its own; level : mean amplitude of the reference there
    shift_angstrom : (F, 2) by what images were off
    aberrations : by optics group and parity; stretch : by optics group
    """

    index: int
    particles: int
    defocus: DefocusResult | None
    amplitudes: Amplitudes
    level: float
    shift_angstrom: Float
    aberrations: Mapping[tuple[int, Parity], Condensed]
    stretch: Mapping[int, MagnificationSums]


@dataclass(frozen=True)
class CtfRefinement:
    """The outcome: the data set with what was kept, and what was found of each tilt series that has particles."""

    dataset: Dataset
    series: tuple[SeriesOptics, ...]
    scales: tuple[ScaleResult, ...] | None
    aberrations: tuple[AberrationResult, ...]
    magnifications: tuple[MagnificationResult, ...]


def stages(settings: CtfSettings) -> tuple[CtfSettings, ...]:
    """What to refine one after the other, each from what the one before has found: a stretch would be taken for astigmatism."""
    first = replace(settings, defocus=None, scale=None, aberrations=())
    then = replace(settings, magnification=False)
    if not settings.magnification:
        return (then,)
    return (first, then) if then != replace(first, magnification=False) else (first,)


@dataclass(frozen=True)
class _Look:
    """Looks at the usable particles (N,) of one tilt series."""

    cutter: Cutter
    usable: NDArray[np.bool_]
    references: References
    settings: CtfSettings

    def __call__(self, index: int) -> dict[int, SeriesOptics]:
        table, plan = self.cutter.dataset.particles, self.settings
        mine = np.flatnonzero(self.usable & (table.tilt_series == index))
        seen = [
            observe(self.cutter, rows, self.references, plan.diameter_angstrom, plan.max_dose, plan.defocus, plan.magnification)
            for rows in (mine[table.optics[mine] == optics] for optics in np.unique(table.optics[mine]))
        ]
        return {index: _series(self.cutter.dataset, index, seen, plan)}


def refined_series(
    cutter: Cutter, usable: NDArray[np.bool_], references: References, settings: CtfSettings, executor: Executor
) -> tuple[list[SeriesOptics], dict[int, str]]:
    """What was found of every tilt series; and those that could not be worked on, and why."""
    indices = np.unique(cutter.dataset.particles.tilt_series[usable]).tolist()
    found, failed = each_series(executor, _Look(cutter, usable, references, settings), indices)
    return list(found.values()), {failure.task: failure.error for failure in failed}


def _series(dataset: Dataset, index: int, seen: Sequence[Observed], settings: CtfSettings) -> SeriesOptics:
    result, sums = None, [one.sums for one in seen]
    if settings.defocus is not None:
        wavelengths = [wavelength_angstrom(dataset.optics[one.optics].voltage_kv) for one in seen]
        result = refined_defocus(_at_one_voltage(sums, wavelengths), dataset.tilt_series[index], wavelengths[0], settings.defocus)
        change = result.after - result.before
        sums = [turned(one, even=defocus_phase(change, one.frequency, own)) for one, own in zip(sums, wavelengths, strict=True)]
    strengths = [
        amplitudes(turned(some, gain=np.repeat(1 / one.nuisance.scale[:, None], len(some.shell), 1)))
        for some, one in zip(sums, seen, strict=True)
    ]
    weight = [one.particles for one in seen]
    return SeriesOptics(
        index=index,
        particles=sum(weight),
        defocus=result,
        amplitudes=Amplitudes(np.asarray(sum(one.found for one in strengths)), np.asarray(sum(one.expected for one in strengths))),
        level=float(np.average([one.level for one in seen], weights=weight)),
        shift_angstrom=np.average([one.nuisance.shift_angstrom for one in seen], axis=0, weights=weight),
        aberrations={
            (one.optics, parity): added_up(some, settings.lowest_frequency)
            for some, one in zip(sums, seen, strict=True)
            for parity in settings.aberrations
        },
        stretch={one.optics: one.stretch for one in seen if one.stretch is not None},
    )


def _at_one_voltage(sums: Sequence[Condensed], wavelengths: Sequence[float]) -> Condensed:
    """Sums of several optics groups at frequencies where the first one's electrons would see the same change of phase per defocus."""
    stretch = [math.sqrt(own / wavelengths[0]) for own in wavelengths]
    return beside([replace(one, frequency=times * one.frequency) for one, times in zip(sums, stretch, strict=True)])


def finished(dataset: Dataset, found: Sequence[SeriesOptics], settings: CtfSettings) -> CtfRefinement:
    """The data set with everything that is kept."""
    scales = None
    if settings.scale is not None:
        series = [dataset.tilt_series[one.index] for one in found]
        scales = refined_scales([one.amplitudes for one in found], [one.level for one in found], series, settings.scale)
    refined = list(dataset.tilt_series)
    for place, one in enumerate(found):
        refined[one.index] = _refined(dataset.tilt_series[one.index], one.defocus, None if scales is None else scales[place])
    aberrations = _aberrations(dataset, found)
    optics = list(dataset.optics)
    for result in aberrations:
        group = optics[result.group]
        odd = result.parity.odd
        optics[result.group] = replace(group, odd_zernike=result.after) if odd else replace(group, even_zernike=result.after)
    magnifications = _magnifications(dataset, found)
    for stretch in magnifications:
        optics[stretch.group] = replace(optics[stretch.group], magnification=stretch.after)
    better = replace(dataset, tilt_series=tuple(refined), optics=tuple(optics))
    return CtfRefinement(better, tuple(found), scales, aberrations, magnifications)


def _aberrations(dataset: Dataset, found: Sequence[SeriesOptics]) -> tuple[AberrationResult, ...]:
    by_group: dict[tuple[int, Parity], list[Condensed]] = {}
    for one in found:
        for key, sums in one.aberrations.items():
            by_group.setdefault(key, []).append(sums)
    results = []
    for (group, parity), parts in by_group.items():
        optics = dataset.optics[group]
        before = optics.odd_zernike if parity.odd else optics.even_zernike
        results.append(refined_aberrations(group, before, parts, parity))
    return tuple(results)


def _magnifications(dataset: Dataset, found: Sequence[SeriesOptics]) -> tuple[MagnificationResult, ...]:
    by_group: dict[int, list[MagnificationSums]] = {}
    for one in found:
        for group, sums in one.stretch.items():
            by_group.setdefault(group, []).append(sums)
    return tuple(refined_magnification(group, dataset.optics[group].magnification, parts) for group, parts in by_group.items())


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
    if scale is None:
        return series
    ice = {} if scale.law is None or not scale.kept.any() else _ice(scale.law, series)
    return replace(series, scale=scale.after, globals_={**series.globals_, **ice})


def _ice(law: Lambert, series: TiltSeries) -> dict[str, str]:
    """Lambert's law in RELION's words."""
    normal = normal_of(law.inclination_radians, about_axis(series.rotation)[1])
    values = {"rlnTomoRelativeLuminance": law.luminance, "rlnTomoRelativeIceThickness": law.thickness}
    values |= {f"rlnTomoIceNormal{axis}": value for axis, value in zip("XYZ", normal.tolist(), strict=True)}
    return {label: f"{value:.6f}" for label, value in values.items()}
