"""How strongly maps stand in images: the factor per shell with which the map of one half-set predicts the images of the other best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomobayes.imaging.crops import crop_plan, delocalisation_angstrom
from tomobayes.imaging.gathering import Portion, Source, portions
from tomobayes.imaging.subtraction import signal_sums
from tomobayes.imaging.views import coarsest_pixel, views_of
from tomobayes.jobs.experiment import check_pixels, usable_or_refuse
from tomobayes.jobs.log import Log
from tomobayes.maps.fsc import fsc, last_shell_above
from tomobayes.model import Dataset, Map, Subtraction

__all__ = ["fitted_factors"]

Float = NDArray[np.float64]
ENOUGH = 256
"""Particles of each half-set that are looked at: every shell of their images has thousands of samples."""
RESOLVED = 0.143
"""FSC of the half-maps below which nothing is subtracted: there is more noise than signal in them."""
LARGEST = 20.0
"""Bound on a factor, for shells in which there is next to nothing."""


def fitted_factors(dataset: Dataset, halves: tuple[Map, Map], solvent: NDArray[np.float32], log: Log) -> Float:
    """(n//2+1,) least-squares factor of each shell of the maps, 0 beyond their resolution.

    Noise of a map lowers its factor as Wiener's filter does, and what the reconstruction lost at low resolution raises it. The map of
    the other half-set is compared, as a particle's own noise is in the map of its own.
    """
    box, edge = halves[0].box, halves[0].box * halves[0].pixel_size_angstrom
    first, second = (Map((one.data * solvent).astype(np.float32), one.pixel_size_angstrom) for one in halves)
    table = dataset.particles
    here = replace(table, subtracted_rotation=table.rotation, subtracted_centre_angstrom=table.centre_angstrom)
    swapped = replace(dataset, particles=here, subtraction=Subtraction((second, first)))
    binning = halves[0].pixel_size_angstrom / coarsest_pixel(dataset)
    source = Source("series", box, binning)
    check_pixels(dataset, "series", log)
    usable = _some(usable_or_refuse(dataset, source), table.half)
    sums = np.zeros((2, box))
    with log.steps("Comparing maps with images", int(usable.sum())) as step:
        for part in portions(swapped, usable, 32):
            found = _sums_of(swapped, part, source, edge / (box // 2 - 1))[:, :box]
            sums[:, : found.shape[1]] += found
            step(len(part.particles))
    resolved = box // 2 if halves[0] is halves[1] else last_shell_above(fsc(first.data, second.data), RESOLVED)
    factors = np.divide(sums[0], sums[1], out=np.zeros(box), where=sums[1] > 0).clip(0, LARGEST)[: box // 2 + 1]
    return np.asarray(np.where(np.arange(len(factors)) <= resolved, factors, 0))


def _sums_of(dataset: Dataset, part: Portion, source: Source, finest_angstrom: float) -> Float:
    series = dataset.tilt_series[part.tilt_series]
    reach = delocalisation_angstrom(views_of(dataset, part.particles), finest_angstrom)
    return signal_sums(
        dataset, part.particles, crop_plan(source.box, source.binning_of(dataset, series), None, reach, series.pixel_size_angstrom)
    )


def _some(usable: NDArray[np.bool_], half: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of the usable particles, up to `ENOUGH` of each half-set, evenly over the table."""
    chosen = np.zeros_like(usable)
    for one in np.unique(half):
        rows = np.flatnonzero(usable & (half == one))
        chosen[rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), ENOUGH)).astype(int))] if len(rows) else rows] = True
    return chosen
