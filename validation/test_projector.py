"""Slices and their adjoint; and maps of noise-free images that another program projected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tomobayes.compute.executors import InProcess
from tomobayes.fourier.grids import half_plane
from tomobayes.fourier.slices import Accumulator, extract_slices
from tomobayes.fourier.volume import from_map
from tomobayes.imaging.gathering import Gatherer, Source, portions
from tomobayes.inference.maximisation import solve
from tomobayes.inference.reconstruction import reconstruct_halves
from tomobayes.maps.fsc import fsc
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Dataset
from toy_heterogeneity import BOX, DIAMETER, PIXEL, toy, true_maps

RADIUS = BOX // 2 - 1


def test_insertion_is_the_adjoint_of_extraction(claims):
    """Re<A·x, y> = Re<x, Aᵀ·y> of a random map x and random slices y in a hundred orientations; the null reads another map's."""
    random = torch.Generator().manual_seed(0)
    rotations = torch.from_numpy(Rotation.random(100, random_state=0).as_matrix()).float()
    flat = half_plane(RADIUS)
    points = torch.cat([flat, torch.zeros(len(flat), 1)], 1).float()
    volume, another = (from_map(torch.randn(BOX, BOX, BOX, generator=random), RADIUS) for _ in range(2))
    y = torch.randn(len(rotations), len(points), generator=random, dtype=torch.complex64)
    slices = extract_slices(volume, rotations, points)
    accumulator = Accumulator(BOX, RADIUS)
    accumulator.insert(rotations, points, y, torch.ones(y.shape))
    forward = float((slices.conj() * y).real.double().sum())
    inserted = accumulator.sums().data
    inserted[..., 0] /= 2  # the plane x = 0 holds every sample and its mate
    backward, other = (float((one.data.conj() * inserted).real.double().sum()) for one in (volume, another))
    size = float(slices.abs().square().double().sum().sqrt() * y.abs().square().double().sum().sqrt())
    claims.measured(
        "relative error of the adjoint", abs(forward - backward) / size, at_most=1e-5, oracle=0, null=abs(forward - other) / size
    )


def _reconstructed(data: Dataset) -> np.ndarray:
    """The map at the poses of a data set whose images have no noise."""
    parts = portions(data, np.ones(len(data.particles), dtype=bool))
    gather = Gatherer(data, Source("stacks", BOX, 1.0), RADIUS)
    sigma2 = {(part.tilt_series, part.half): torch.ones(data.tilt_series[part.tilt_series].n_tilts, RADIUS + 1) for part in parts}
    poses = torch.from_numpy(data.particles.rotation), torch.from_numpy(data.particles.centre_angstrom)
    group = torch.eye(3, dtype=torch.float64)[None]
    sums, _ = reconstruct_halves(parts, gather, sigma2, *poses, box=BOX, radius=RADIUS, group=group, executor=InProcess())
    return np.asarray(solve(sums[1, 0] + sums[2, 0], torch.full((RADIUS + 1,), 100.0)).numpy())


def test_noise_free_images_make_the_true_map(shared: Path, claims):
    """72 particles of one state, projected and multiplied with the CTF by another program; the null has every particle turned at random."""
    data, _ = toy(shared, "D", images="clean")
    mask, truth = sphere_mask(BOX, DIAMETER / PIXEL, 3), true_maps(shared)[0]
    turned = replace(data.particles, rotation_particle=Rotation.random(len(data.particles), random_state=0).as_matrix())
    found, null = (
        float(fsc(_reconstructed(one) * mask, truth * mask)[1 : BOX // 4 + 1].min()) for one in (data, data.with_particles(turned))
    )
    claims.measured("lowest FSC to the truth up to half of Nyquist", found, at_least=0.9, oracle=1, null=null)
