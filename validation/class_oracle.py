"""How well particles could be told apart at best: by the true maps, at the true poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from tomobayes.compute.executors import InProcess
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import FourierVolume, from_map
from tomobayes.imaging.gathering import Gatherer, Portion, Source, portions
from tomobayes.imaging.noise import precision
from tomobayes.imaging.observation import Statistics
from tomobayes.inference.classification.given_poses import aligned
from tomobayes.inference.reconstruction import signal_free_noise
from tomobayes.model import Dataset


def told_by_true_maps(dataset: Dataset, source: Source, maps: Sequence[np.ndarray]) -> np.ndarray:
    """(P,) the likeliest map of each particle of a data set at its poses.

    How much of a map's amplitude the images show is fitted shell by shell, without a look at the labels: images may have been made with
    another program's interpolation, and the grey scale of maps is arbitrary. Noise is that of all images together.
    """
    radius = source.box // 2 - 1
    halves = 1 + np.arange(len(dataset.particles)) % 2  # of no meaning to maps that are given
    dataset = dataset.with_particles(replace(dataset.particles, half=halves))
    parts, gather = portions(dataset, np.ones(len(dataset.particles), dtype=bool)), Gatherer(dataset, source, radius)
    spectra, _ = signal_free_noise(parts, gather, InProcess())
    sigma2 = torch.cat(list(spectra.values())).mean(0)
    volumes = [from_map(torch.from_numpy(one), radius) for one in maps]
    found = [_by_shell(dataset, part, gather(part), sigma2, volumes, radius) for part in parts]
    rows = np.concatenate([part.particles for part in parts])
    agreement, power = torch.cat(found).unbind(2)
    scale = agreement.sum((0, 1)) / power.sum((0, 1)).clamp_min(1e-30)
    told = (scale * agreement - 0.5 * scale**2 * power).sum(2).argmax(1).numpy()
    return told[np.argsort(rows)]


def _by_shell(
    dataset: Dataset, part: Portion, statistics: Statistics, sigma2: torch.Tensor, volumes: Sequence[FourierVolume], radius: int
) -> torch.Tensor:
    """(P, K, 2, R+1) Re Σ conj(b)·V and Σ w·|V|² of a portion's particles and every map."""
    weight = precision(statistics, sigma2.expand(statistics.n_tilts, -1))
    rotation, centre = (torch.from_numpy(each[part.particles]) for each in (dataset.particles.rotation, dataset.particles.centre_angstrom))
    images = aligned(statistics, weight, rotation, centre, radius)
    shell = statistics.shell[: len(images.points) // statistics.n_tilts].repeat_interleave(statistics.n_tilts)
    found = []
    for volume in volumes:
        slices = extract_slices(volume, images.rotation, images.points)
        terms = torch.stack([(images.data.conj() * slices).real, images.weight * slices.abs().square()], 1) * images.precision
        found.append(torch.zeros(len(rotation), 2, radius + 1).index_add_(2, shell, terms))
    return torch.stack(found, 1)
