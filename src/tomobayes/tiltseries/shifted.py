"""One tilt series with only its images shifted, and only where that raises the likelihood of particles held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tomobayes.model import Dataset, TiltSeries
from tomobayes.tiltseries.aligned import AlignedSeries, AlignSettings, Group, compared_groups, largest, share_at_edge, tables_of
from tomobayes.tiltseries.alignment import Fitter, weak_prior
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.keeping import Kept
from tomobayes.tiltseries.placement import RIGID, placement_of
from tomobayes.tiltseries.references import References
from tomobayes.tiltseries.shifts import add_prediction, correlation, peak_of, shift_by_particles
from tomobayes.tiltseries.tables import Tables, look_up

__all__ = ["shift_series"]

PICTURES_BYTES = 1e9
"""Memory for predicted images."""
SURE = {"particles": 3.0, "images": 1.5}
"""How far a gain must rise above noise. That of whole images is measured with the peaks of their particles in it, and is large already."""


def shift_series(
    cutter: Cutter, rows: NDArray[np.int64], references: References, settings: AlignSettings, by: Literal["particles", "images"]
) -> AlignedSeries:
    """Shift the tilt images of one tilt series.

    Every other particle is held out from a shift that the rest finds, and a tilt is shifted if the log likelihood of those held out
    gains `SURE` times what noise would make of it: the peak of an image without signal may lie anywhere.

    Parameters
    ----------
    rows : (P,) the particles of the tilt series
    by : what is correlated with its prediction: boxes of particles, within the reach of their tables, or whole images, however far
    """
    given = cutter.dataset
    index = int(given.particles.tilt_series[rows[0]])
    series = given.tilt_series[index]
    groups = _learned(given, cutter, rows, references, settings)
    if by == "images":
        shift, gain, noise = _by_images(series, groups)
        sure = gain > SURE[by] * noise
        shifted = replace(series, shift_angstrom=series.shift_angstrom + torch.where(sure[:, None], shift, 0).numpy())
        now = replace(given, tilt_series=(*given.tilt_series[:index], shifted, *given.tilt_series[index + 1 :]))
        groups = _learned(given, Cutter(now), rows, references, settings)
        table = tables_of(groups, settings.reach_angstrom)
    else:
        table = tables_of(groups, settings.reach_angstrom)
        shift, gain, noise = _by_particles(table)
        sure = gain > SURE[by] * noise
    wanted = settings.choice(series.dose)
    choice = replace(wanted.nothing, tilts=wanted.tilts & sure, shifts=True)
    placement = placement_of(given, rows)
    start = torch.zeros(placement.size, dtype=torch.float64)
    placement.split(start)[0][:, 3:RIGID] = shift
    fitter = Fitter(placement, table, weak_prior(placement), choice)
    fit = fitter.fit(start=start)
    return AlignedSeries(
        rows=rows,
        placement=placement,
        parameters=fit.parameters,
        displacement=fit.displacement,
        uncertainty=fitter.uncertainty(),
        signal=largest(groups).found_signal,
        kept=Kept(choice, gain.where(choice.tilts, 0), {}),
        at_edge=share_at_edge(table, fit),
    )


def _learned(given: Dataset, now: Cutter, rows: NDArray[np.int64], references: References, settings: AlignSettings) -> list[Group]:
    groups = compared_groups(given, now, rows, references, settings)
    for group in groups:
        group.learn(None)
    return groups


def _by_particles(table: Tables) -> tuple[Tensor, Tensor, Tensor]:
    """Shifts (F, 2) Å, held-out gains (F,) and what noise alone would make of those, from the tables of particles."""
    seen = table.information.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    even = (torch.arange(len(seen)) % 2 == 0)[:, None]
    before = look_up(table, torch.zeros(*seen.shape, 2, dtype=torch.float64))[0]
    gain, variance = torch.zeros(2, seen.shape[1], dtype=torch.float64)
    for half in (even, ~even):
        found = shift_by_particles(table, seen & half)
        test = seen & ~half
        gain += ((look_up(table, found.expand(*seen.shape, 2))[0] - before) * test).sum(0)
        variance += torch.einsum("fi,pfij,fj->f", found, table.information * test[..., None, None], found)
    return shift_by_particles(table, seen), gain, variance.sqrt()


def _by_images(series: TiltSeries, groups: Sequence[Group]) -> tuple[Tensor, Tensor, Tensor]:
    """Shifts (F, 2) Å, held-out gains (F,) and what noise alone would make of those, from whole images."""
    assert series.images is not None and series.image_size is not None
    width, height = series.image_size
    at_once = max(1, int(PICTURES_BYTES / (8 * width * height)))
    shift = torch.zeros(series.n_tilts, 2, dtype=torch.float64)
    gain, noise = torch.zeros(2, series.n_tilts, dtype=torch.float64)
    for first in range(0, series.n_tilts, at_once):
        tilts = range(first, min(first + at_once, series.n_tilts))
        pictures = np.zeros((len(tilts), 2, height, width), dtype=np.float32)
        for group in groups:
            for part, one in group.portions():
                for place, tilt in enumerate(tilts):
                    for half in (0, 1):
                        chosen = torch.from_numpy(group.members[part] % 2 == half)
                        add_prediction(pictures[place, half], one, group.found_signal, tilt, chosen)
        for place, tilt in enumerate(tilts):
            shift[tilt], gain[tilt], noise[tilt] = _compared(series, tilt, pictures[place], largest(groups))
    return shift, gain, noise


def _compared(series: TiltSeries, tilt: int, pictures: NDArray[np.float32], group: Group) -> tuple[Tensor, float, float]:
    """The shift of a tilt (2,) Å; what the shift that either half of the particles finds gains on the other half; and the standard
    deviation of that gain for a shift from nowhere, by the scatter of the correlation over the whole image."""
    assert series.images is not None
    pixel = series.pixel_size_angstrom
    sigma2, width = group.found_signal.sigma2[tilt], 1 / (group.cut.edge * pixel)
    halves = [correlation(np.asarray(series.images.read(tilt)), picture, pixel, sigma2, width) for picture in pictures]
    gain = 0.0
    for one, other in (halves, halves[::-1]):
        x, y = peak_of(one).round().long().tolist()
        gain += float(other[y, x] - other[0, 0])
    noise = float((2 * (halves[0].var() + halves[1].var())).sqrt())
    return pixel * peak_of(halves[0] + halves[1]), gain, noise
