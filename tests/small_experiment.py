"""Tilt series of a small asymmetric particle, made in memory: what the tests of imaging and inference look at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tomobayes.model import Dataset, Map, Optics, Particles, PseudoSubtomogram, TiltSeries
from tomobayes.simulation.images import clean_images

PIXEL, BOX = 6.0, 32
OPTICS = Optics("a", 300.0, 2.7, 0.07)


@dataclass(frozen=True)
class Recorded:
    """Tilt images in memory, dark particles on bright ground."""

    values: NDArray[np.float32]
    pixel_size_angstrom: float = PIXEL

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.values.shape

    def read(self, tilt: int) -> NDArray[np.float32]:
        return self.values[tilt]


@dataclass(frozen=True)
class Stacks:
    """2D stacks in memory, by particle."""

    values: tuple[NDArray[np.float32], ...]
    box: int = BOX
    pixel_size_angstrom: float = PIXEL
    premultiplied: bool = True

    def read(self, particle: int) -> NDArray[np.float32]:
        return self.values[particle]


@dataclass(frozen=True)
class Subtomograms:
    """Pseudo-subtomograms in memory, by particle."""

    values: tuple[PseudoSubtomogram, ...]
    box: int = BOX
    pixel_size_angstrom: float = PIXEL

    def read(self, particle: int) -> PseudoSubtomogram:
        return self.values[particle]


def phantom(box: int = BOX, pixel: float = PIXEL, sigma: float = 8.0) -> Map:
    """Seven blobs without symmetry inside 100 Å."""
    random = np.random.default_rng(3)
    axis = (np.arange(box) - box // 2) * pixel
    density = np.zeros((box,) * 3)
    for centre in random.uniform(-25, 25, (7, 3)):
        x, y, z = (np.exp(-((axis - c) ** 2) / (2 * sigma**2)) for c in centre)
        density += z[:, None, None] * y[:, None] * x
    return Map(density.astype(np.float32), pixel)


def series(size: int, *, defocus: float = 20000.0, step: float = 10.0, reach: float = 60.0, pixel: float = PIXEL) -> TiltSeries:
    """Square images at tilts from -reach to reach degrees about an axis near y."""
    angles = np.arange(-reach, reach + 1, step)
    still = np.zeros(len(angles))
    return TiltSeries(
        name="TS_01",
        pixel_size_angstrom=pixel,
        hand=-1.0,
        tomogram_size=(size, size, size // 2),
        image_size=(size, size),
        rotation=Rotation.from_euler("zy", np.stack([still + 5, angles], 1), degrees=True).as_matrix(),
        shift_angstrom=np.random.default_rng(1).uniform(-8, 8, (len(angles), 2)),
        dose=2.0 * np.argsort(np.argsort(np.abs(angles))),
        defocus_u_angstrom=still + defocus + 400,
        defocus_v_angstrom=still + defocus,
        astigmatism_radians=still + 0.3,
        phase_shift_radians=still,
        scale=still + 1,
        b_factor=still,
        optics_name=OPTICS.name,
    )


def particles(position: NDArray[np.float64], seed: int = 0) -> Particles:
    """Particles at given positions, turned at random, in subtomogram frames turned at random too."""
    n = len(position)
    random = np.random.default_rng(seed)
    return Particles(
        name=np.array([f"TS_01/{i + 1}" for i in range(n)]),
        tilt_series=np.zeros(n, dtype=np.int64),
        optics=np.zeros(n, dtype=np.int64),
        position_angstrom=position,
        rotation_subtomogram=Rotation.random(n, random_state=random).as_matrix(),
        rotation_particle=Rotation.random(n, random_state=random).as_matrix(),
        origin_angstrom=np.zeros((n, 3)),
        half=1 + np.arange(n) % 2,
        class_number=np.ones(n, dtype=np.int64),
        tilt_prior_degrees=np.full(n, np.nan),
        psi_prior_degrees=np.full(n, np.nan),
        rot_prior_degrees=np.full(n, np.nan),
    )


def positions(columns: int, spacing_px: int, pixel: float = PIXEL) -> NDArray[np.float64]:
    """A square of particles around the middle, none on the pixel grid."""
    places = (np.arange(columns) - (columns - 1) / 2) * spacing_px
    x, y = (axis.ravel() for axis in np.meshgrid(places, places))
    jitter = np.random.default_rng(5).uniform(-0.5, 0.5, (len(x), 3))
    return pixel * (np.stack([x, y, 0 * x], -1) + jitter)


def recorded(dataset: Dataset, density: Map | None, sigma: float, seed: int = 0) -> Dataset:
    """The data set with images: the particles' signal under white noise of a standard deviation."""
    one = dataset.tilt_series[0]
    random = np.random.default_rng(seed)
    noise = random.normal(0, sigma, (one.n_tilts, *one.image_size[::-1])).astype(np.float32)
    signal = 0 if density is None else np.stack(list(clean_images(dataset, 0, [density])))
    return replace(dataset, tilt_series=(replace(one, images=Recorded(-(signal + noise), one.pixel_size_angstrom)),))


def random_poses(n: int, seed: int = 0) -> torch.Tensor:
    """(n, 3, 3) float32."""
    return torch.from_numpy(Rotation.random(n, random_state=seed).as_matrix()).float()
