"""What each step does: which particles it looks at, in how much detail, and how much of what was found before it forgets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomobayes.geometry.healpix import angular_step_degrees
from tomobayes.inference.abinitio.state import AbInitioSettings, Stage
from tomobayes.inference.sampling import Plan, global_plan, radius_for_step

__all__ = ["HEALPIX_ORDER", "Step", "deal_batches", "plan_of", "step_of"]

HEALPIX_ORDER = 1
"""Of the first grid of every search: 576 orientations 30° apart."""
FINEST_ORDER = 3
FIRST_GAIN, LAST_GAIN = 0.9, 0.25
"""Weight of a step in the running mean, at the beginning of a start and at its end, of many batches."""
HELD_OUT = 8
"""One particle of so many judges starts and is in none."""


@dataclass(frozen=True)
class Step:
    """One step.

    Parameters
    ----------
    start : number of the start, from 1; first : whether it begins one
    batch : which particles are looked at, None for all; held_out : only those that are held out (True), the others (False), both (None)
    radius : Fourier pixels that are compared
    gain : weight of what is found in the running mean of Σb and Σw
    """

    stage: Stage
    start: int
    first: bool
    batch: int | None
    held_out: bool | None
    radius: int
    gain: float

    def looks_at(self, particle: int, settings: AbInitioSettings) -> bool:
        """Whether it looks at a particle of the data set."""
        wanted = self.held_out is None or bool(settings.held_out[particle]) is self.held_out
        return wanted and (self.batch is None or int(settings.batches[particle]) == self.batch)


def deal_batches(
    usable: NDArray[np.bool_], tilt_series: NDArray[np.int64], batch: int, judged: bool, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(P,) batch of every particle, of at most ``batch``, and (P,) which are held out; both have their share of every tilt series."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(usable))
    rows = rows[np.argsort(tilt_series[rows], kind="stable")]
    order = np.arange(len(rows))
    dealt, held_out = np.full(len(usable), -1), np.zeros(len(usable), dtype=bool)
    dealt[rows] = order % -(-len(rows) // batch)
    held_out[rows] = judged & (order * 0.618034 % 1 < 1 / HELD_OUT)
    return dealt, held_out


def step_of(iteration: int, settings: AbInitioSettings) -> Step:
    """The step after so many."""
    of_starts = settings.starts * settings.steps_of_start
    if iteration < of_starts:
        start, index = divmod(iteration, settings.steps_of_start)
        if index == settings.start_steps:
            return Step("judge", start + 1, False, None, True, settings.finest_radius, 0.0)
        return _of_start(start, index, settings)
    index = iteration - of_starts
    batch, radius = index % settings.n_batches, settings.finest_radius
    if index < settings.all_steps:
        return Step("all", settings.starts, False, batch, None, radius, _least_gain(settings))
    later = index - settings.all_steps
    if settings.is_symmetric and later < settings.symmetric_steps:
        return Step("symmetric", settings.starts, False, batch, None, radius, max(1 / (later + 1), _least_gain(settings)))
    return Step("last", settings.starts, False, None, None, radius, 1.0)


def _of_start(start: int, index: int, settings: AbInitioSettings) -> Step:
    """A step of a start: from coarse to fine, forgetting less and less."""
    share = index / max(settings.start_steps - 1, 1)
    radius = settings.first_radius + round(min(1.0, share / 0.7) * (settings.finest_radius - settings.first_radius))
    gain = 1.0 if index == 0 else max(_least_gain(settings), FIRST_GAIN + share * (LAST_GAIN - FIRST_GAIN))
    held_out = False if settings.starts > 1 else None
    return Step("start", start + 1, index == 0, (index + start) % settings.n_batches, held_out, radius, gain)


def _least_gain(settings: AbInitioSettings) -> float:
    """Weight at which the running mean is one over all batches, about; with a single batch nothing older is kept."""
    return 1.0 if settings.n_batches == 1 else min(1.0, 1.5 / settings.n_batches)


def plan_of(radius: int, settings: AbInitioSettings, offset_sigma: float) -> Plan:
    """A search over all orientations, as fine as a radius asks for; shifts are a quarter of the finest detail apart at the end."""
    images = settings.images
    diameter_px = images.particle_diameter / images.pixel_size_angstrom
    order = HEALPIX_ORDER + 1
    while order < FINEST_ORDER and radius_for_step(angular_step_degrees(order), diameter_px, images.box) < radius:
        order += 1
    finest_px = images.box / (4 * radius)
    reach_px = max(min(images.offset_range, 3 * offset_sigma) / images.pixel_size_angstrom, finest_px)
    return global_plan(HEALPIX_ORDER, angular_step_degrees(order), reach_px, finest_px, diameter_px, images.box, radius)
