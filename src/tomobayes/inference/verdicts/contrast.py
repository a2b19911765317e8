"""Whether particles are brighter than the ice around them, without any reference."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tomobayes.fourier.volume import from_map
from tomobayes.imaging.gathering import Gatherer, Source, coarsest_pixel, portions
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.inference.verdicts.agreement import Agreement, agreement
from tomobayes.inference.verdicts.verdict import Verdict, verdict
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Dataset

__all__ = ["contrast"]

FIRST_ZERO = 1.43
"""Of the transform of a ball, in units of 1/diameter: where tan(π·x) = π·x."""


def contrast(dataset: Dataset, source: Source, usable: NDArray[np.bool_], diameter_angstrom: float) -> Verdict:
    """Compare the images with a ball of the particle's diameter and with a hole.

    Seen so coarsely that only the first lobe of its transform is left, whatever is compact looks like a ball; poses do not matter.

    Parameters
    ----------
    source : of boxes at least twice as wide as the particle, so that the lobe holds several shells
    """
    pixel = coarsest_pixel(dataset) * source.binning
    radius = min(source.box // 2 - 1, max(2, int(FIRST_ZERO * source.box * pixel / diameter_angstrom)))
    volume = from_map(torch.from_numpy(sphere_mask(source.box, diameter_angstrom / pixel)), radius)
    gather, found = Gatherer(dataset, source, radius), []
    for part in portions(dataset, usable):
        statistics = gather(part)
        weight = precision(statistics, spectrum(signal_free_sums(statistics)))
        pose = torch.eye(3, dtype=torch.float64).expand(len(part.particles), 3, 3)
        centre = torch.from_numpy(dataset.particles.centre_angstrom[part.particles])
        found.append(agreement(statistics, weight, volume, pose, centre, radius))
    return verdict(_ratios(Agreement(torch.cat([one.found for one in found]), torch.cat([one.expected for one in found]))))


def _ratios(one: Agreement) -> NDArray[np.float64]:
    """(P,) log likelihood under a gain minus that under the same negative gain, which is as large as all others' images ask for."""
    found, expected = one.found.sum(1), one.expected.sum(1)
    gain = (found.sum() - found).abs() / (expected.sum() - expected).clamp_min(1e-300)
    return np.asarray(2 * gain * found)
