"""A simulated experiment: what is true, what is written, and the images, one tilt at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.model import Dataset, Map
from tomobayes.simulation.density import particle_diameter_angstrom
from tomobayes.simulation.errors import Errors, tilt_degrees, with_errors
from tomobayes.simulation.images import clean_images, signal_variance
from tomobayes.simulation.motion import Kernel, beam_induced_motion
from tomobayes.simulation.noise import NoiseSpectrum, noise_image, solvent
from tomobayes.simulation.scene import assign_classes
from tomobayes.simulation.unknowns import Unknowns, with_unknowns

__all__ = ["GreyScale", "Motion", "SeriesTruth", "Simulation", "series_truth", "simulate", "tilt_images"]

Float = NDArray[np.float64]
GreyScale = Literal["int8", "int16", "float32"]

GREY_LEVELS_PER_SIGMA: dict[GreyScale, float] = {"int8": 20.0, "int16": 200.0, "float32": 1.0}
"""Standard deviation of the noise in written grey values."""


@dataclass(frozen=True)
class Motion:
    """How particles move.

    Parameters
    ----------
    step_angstrom : standard deviation per axis of every particle's displacement from one exposure to the next
    kernel, correlation_angstrom : how the steps of two particles correlate with their distance (simulation.motion)
    """

    step_angstrom: float = 0.0
    kernel: Kernel = "square-exponential"
    correlation_angstrom: float = 500.0


@dataclass(frozen=True)
class SeriesTruth:
    """True parameters of one tilt series.

    Parameters
    ----------
    shifts : (F, 2) Å
    tilt : (F,) degrees
    defocus : (F,) Å, mean of U and V at the tomogram's centre
    astigmatism : (F,) Å, U - V; astigmatism_angle : (F,) degrees, direction of U
    scale : (F,)
    motion : (P, F, 3) Å, tomogram frame
    """

    shifts: Float
    tilt: Float
    defocus: Float
    astigmatism: Float
    astigmatism_angle: Float
    scale: Float
    motion: Float


@dataclass(frozen=True)
class Simulation:
    """Everything that determines the images of a simulated experiment.

    Parameters
    ----------
    written : what a user is given: the truth with errors, without motion, classes and unknowns
    truth : what the images were made with
    maps : one per class, scaled so that the forward model of the truth gives the signal in written grey values
    noise : shape of the noise's spectrum; its standard deviation is GREY_LEVELS_PER_SIGMA[grey_scale]
    """

    written: Dataset
    truth: Dataset
    maps: tuple[Map, ...]
    noise: NoiseSpectrum
    grey_scale: GreyScale
    seed: int


def simulate(
    scene: Dataset,
    maps: Sequence[Map],
    *,
    seed: int,
    snr: float,
    populations: Sequence[float] | None = None,
    noise: NoiseSpectrum | None = None,
    motion: Motion | None = None,
    unknowns: Unknowns | None = None,
    errors: Errors | None = None,
    grey_scale: GreyScale = "int8",
) -> Simulation:
    """Decide on everything that is random but the noise.

    Parameters
    ----------
    scene : geometry, optics and poses (simulation.scene)
    maps : one per class, in the pixel size of the scene; any scale
    snr : variance of the signal inside the disc of the particle's diameter, in an untilted image that has seen no dose, mean
        over particles, divided by the variance of the noise per pixel
    populations : relative sizes of the classes; equal by default
    motion, unknowns, errors : what the images hold that is not written, and what is written wrong; nothing by default
    """
    for_classes, for_motion, for_errors, for_unknowns = (np.random.default_rng([seed, stream]) for stream in (0, 1, 2, 5))
    known = assign_classes(scene, populations or [1.0] * len(maps), for_classes)
    truth = with_unknowns(known, unknowns or Unknowns(), for_unknowns)
    if motion is not None and motion.step_angstrom > 0:
        truth = replace(truth, motion_angstrom=_tracks(truth, motion, for_motion))
    diameter = max(particle_diameter_angstrom(one) for one in maps)
    grey = GREY_LEVELS_PER_SIGMA[grey_scale] * np.sqrt(snr / signal_variance(truth, maps, diameter))
    return Simulation(
        written=with_errors(known, errors or Errors(), for_errors),
        truth=truth,
        maps=tuple(Map((grey * one.data).astype(np.float32), one.pixel_size_angstrom) for one in maps),
        noise=noise or solvent(),
        grey_scale=grey_scale,
        seed=seed,
    )


def _tracks(truth: Dataset, motion: Motion, random: np.random.Generator) -> tuple[Float, ...]:
    moved: list[Float] = [np.empty(0)] * len(truth.particles)
    for index, series in enumerate(truth.tilt_series):
        rows = np.flatnonzero(truth.particles.tilt_series == index)
        tracks = beam_induced_motion(
            truth.particles.centre_angstrom[rows], series.dose, motion.step_angstrom, random, motion.correlation_angstrom, motion.kernel
        )
        for row, track in zip(rows, tracks, strict=True):
            moved[row] = track
    return tuple(moved)


def tilt_images(simulation: Simulation, series: int) -> Iterator[NDArray[np.generic]]:
    """The recorded (height, width) images of a tilt series, dark particles, one tilt at a time, always the same for the same seed."""
    one = simulation.truth.tilt_series[series]
    sigma = GREY_LEVELS_PER_SIGMA[simulation.grey_scale]
    random = np.random.default_rng([simulation.seed, 3, series])
    for clean in clean_images(simulation.truth, series, simulation.maps):
        size = (clean.shape[1], clean.shape[0])
        yield _written(sigma * noise_image(simulation.noise, size, one.pixel_size_angstrom, random) - clean, simulation.grey_scale)


def _written(image: NDArray[np.float32], grey_scale: GreyScale) -> NDArray[np.generic]:
    if grey_scale == "float32":
        return image
    limits = np.iinfo(grey_scale)
    return np.clip(np.rint(image), limits.min, limits.max).astype(grey_scale)


def series_truth(simulation: Simulation, series: int) -> SeriesTruth:
    """True parameters of one tilt series, in the rows of its particles and tilts."""
    truth, one = simulation.truth, simulation.truth.tilt_series[series]
    rows = np.flatnonzero(truth.particles.tilt_series == series)
    still = np.zeros((len(rows), one.n_tilts, 3))
    return SeriesTruth(
        shifts=one.shift_angstrom,
        tilt=tilt_degrees(one.rotation),
        defocus=0.5 * (one.defocus_u_angstrom + one.defocus_v_angstrom),
        astigmatism=one.defocus_u_angstrom - one.defocus_v_angstrom,
        astigmatism_angle=np.rad2deg(one.astigmatism_radians),
        scale=one.scale,
        motion=still if truth.motion_angstrom is None else np.array([truth.motion_angstrom[row] for row in rows]).reshape(still.shape),
    )
