"""How a classification searches poses: everywhere until orientations have settled, then around them."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from tomobayes.geometry.rotations import angular_distance_degrees, nearest_mates
from tomobayes.inference.classification.state import PoseSearch
from tomobayes.inference.expectation import PoseEstimates
from tomobayes.inference.schedule import next_step
from tomobayes.inference.state import Settings

__all__ = ["first_search", "next_search", "share_moved"]

FAR, FEW = 10.0, 0.02
"""Searches are local once no more than so few particles turn by more than so many degrees."""


def first_search(settings: Settings, radius: int) -> PoseSearch:
    """Around the given poses where the prior on orientations has a width, else everywhere."""
    step = 60 / 2 ** (settings.healpix_order + 2)
    return PoseSearch(
        iteration=0,
        phase="local" if math.isfinite(settings.sigma_rotation) else "global",
        angular_step=min(step, settings.sigma_rotation / 2),
        shift_step_angstrom=settings.first_shift_step,
        offset_sigma=settings.offset_sigma,
        radius=radius,
    )


def next_search(search: PoseSearch, found: PoseEstimates, moved: float) -> PoseSearch:
    """As fine as poses turn out to be known; local once few orientations change, or no fewer than before."""
    settled = moved <= FEW or (search.iteration > 1 and moved >= search.moved)
    return replace(
        search,
        iteration=search.iteration + 1,
        phase="local" if settled else search.phase,
        angular_step=next_step(search.angular_step, float(found.sigma_rotation.median())),
        shift_step_angstrom=next_step(search.shift_step_angstrom, float(found.sigma_shift_angstrom.median())),
        offset_sigma=max(1.5, math.sqrt(float(found.spread_angstrom2.mean()) / 3)),
        moved=moved,
    )


def share_moved(before: Tensor, after: Tensor, settings: Settings) -> float:
    """Share of the orientations (P, 3, 3) that turned far, whichever mate they are."""
    turned = angular_distance_degrees(nearest_mates(before, after, torch.from_numpy(settings.mates)), after)
    return float((turned > FAR).double().mean())
