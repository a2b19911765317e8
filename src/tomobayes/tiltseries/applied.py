"""Alignments put into a data set: tilts, positions, motion and deformation as the fits have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.model import Dataset, TiltSeries
from tomobayes.model.deformation import Deformation
from tomobayes.tiltseries.aligned import AlignedSeries
from tomobayes.tiltseries.placement import RIGID, DeformationPlan, moved_points, tait_bryan

__all__ = ["applied", "deformation_of"]


def applied(given: Dataset, found: Sequence[AlignedSeries], deformation: DeformationPlan | None = None) -> Dataset:
    """The data set with the alignments that were found for it.

    A particle's position is that in the first tilt, by dose; motion leads from there. Extraction points become the new positions and
    origins zero, as RELION has it: images extracted before do not fit the new alignment in any case.
    """
    series, table = list(given.tilt_series), given.particles
    centre = table.centre_angstrom.copy()
    walks = any(one.placement.split(one.parameters)[1].any() for one in found)
    motion = None if given.motion_angstrom is None and not walks else list(_motion(given))
    for one in found:
        index = int(table.tilt_series[one.rows[0]])
        series[index] = _tilts(given.tilt_series[index], one, deformation)
        _, _, positions, _ = one.placement.split(one.parameters)
        centre[one.rows] += positions.numpy()
        if motion is not None:
            moved = moved_points(one.placement, one.parameters) - one.placement.point_angstrom - positions[:, None]
            for row, walk in zip(one.rows.tolist(), moved.numpy(), strict=True):
                motion[row] = motion[row] + walk
    particles = replace(table, position_angstrom=centre, origin_angstrom=np.zeros_like(centre))
    return replace(given, tilt_series=tuple(series), particles=particles, motion_angstrom=None if motion is None else tuple(motion))


def _motion(given: Dataset) -> list[NDArray[np.float64]]:
    if given.motion_angstrom is not None:
        return list(given.motion_angstrom)
    return [np.zeros((given.tilt_series[index].n_tilts, 3)) for index in given.particles.tilt_series.tolist()]


def _tilts(series: TiltSeries, one: AlignedSeries, plan: DeformationPlan | None) -> TiltSeries:
    tilts, _, _, _ = one.placement.split(one.parameters)
    turned = tait_bryan(tilts[:, :3]).numpy() @ series.rotation
    shifted = series.shift_angstrom + tilts[:, 3:RIGID].numpy()
    return replace(series, rotation=turned, shift_angstrom=shifted, deformation=deformation_of(series, one, plan))


def deformation_of(series: TiltSeries, one: AlignedSeries, plan: DeformationPlan | None) -> Deformation | None:
    """The deformation of a tilt series with what was fitted added; as it was where that is nothing."""
    tilts, _, _, shared = one.placement.split(one.parameters)
    change = tilts[:, RIGID:] if one.placement.per_tilt else shared
    if plan is None or not change.any():
        return series.deformation
    present = torch.zeros_like(change) if series.deformation is None else torch.tensor(series.deformation.coefficients)
    return Deformation(plan.kind, (present + change).numpy(), plan.grid)
