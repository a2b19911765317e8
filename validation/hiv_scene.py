"""HIV-1 virus-like particles as EMPIAR-10164 recorded them: real poses, picks, geometry, dose, defoci and noise, for simulated images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import starfile
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from tomobayes.formats.atomic_model import read_atomic_model
from tomobayes.formats.mrc import write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.geometry.pointgroups import point_group
from tomobayes.imaging.views import transfer, views_of
from tomobayes.maps.symmetry import symmetrise
from tomobayes.model import Dataset, Map, Particles
from tomobayes.simulation.density import density_map

MAX_DOSE = 50.0
"""e/Å², what the real refinement used: 17 of 40 tilts."""
BOX_ANGSTROM = 259.2
BINNED_ANGSTROM = 10.0
"""Pixel of the tomograms in which the spheres were picked."""
PICKED_AS = Rotation.from_euler("y", -90, degrees=True).as_matrix()
"""Pickers turn the subtomogram so that the particle's z axis is at tilt 90 in it: A_part = E(0, 90, 0)."""


def real_dataset(shared: Path) -> Dataset:
    """All five tilt series as RELION-5's tutorial left them: last poses, polished geometry."""
    folder = shared / "data/empiar10164"
    files = folder / "Refine3D/job074/run_data.star", folder / "Polish/job070/tomograms.star"
    return read_dataset(None, *files, "none", require_images=False, ignore_stored=True)


def first_series(dataset: Dataset, chosen: np.ndarray | None = None) -> Dataset:
    """TS_01 alone with its particles (or some of them), without what other programs wrote about them."""
    rows = np.flatnonzero(dataset.particles.tilt_series == 0) if chosen is None else chosen
    return replace(dataset, tilt_series=dataset.tilt_series[:1], particles=some_of(dataset.particles, rows))


def some_of(particles: Particles, rows: np.ndarray) -> Particles:
    """These rows of the particles, without half-sets and foreign columns."""
    arrays = ("name", "tilt_series", "optics", "position_angstrom", "rotation_subtomogram", "rotation_particle", "origin_angstrom")
    taken = {
        name: getattr(particles, name)[rows]
        for name in (*arrays, "class_number", "tilt_prior_degrees", "psi_prior_degrees", "rot_prior_degrees")
    }
    return Particles(**taken, half=np.zeros(len(rows), dtype=np.int64))


def noise_spectrum(shared: Path, dataset: Dataset) -> np.ndarray:
    """(96, 2) frequency in 1/Å and noise amplitude, from the last refinement's noise.

    RELION's images are CTF-premultiplied, so its σ² is the noise's power times the mean (CTF·dose)² of the images; power and mean
    are summed over five shells before they are divided, because both nearly vanish at zeros of the CTF.
    """
    model = starfile.read(shared / "data/empiar10164/Refine3D/job074/run_model.star")
    power = model["model_optics_group_1"].rlnSigma2Noise.to_numpy()
    frequency = np.arange(len(power)) / BOX_ANGSTROM
    turn = np.linspace(0, np.pi, 16, endpoint=False)
    samples = frequency[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], -1)
    passed = np.mean([_mean_transfer(dataset, series, samples) for series in range(len(dataset.tilt_series))], axis=0)
    window = np.ones(5)
    amplitude = np.sqrt(np.convolve(power, window, "valid") / np.convolve(passed, window, "valid"))
    inner = np.sqrt(power[1:3] / passed[1:3])  # the rise towards zero is too steep for the window
    return np.stack([frequency[1:-3], [*inner, *amplitude[1:-1]]], 1)


def _mean_transfer(dataset: Dataset, series: int, samples: np.ndarray) -> np.ndarray:
    """Mean (CTF·dose)² per shell over every 40th particle of a series."""
    views = views_of(dataset, np.flatnonzero(dataset.particles.tilt_series == series)[::40])
    tilts = torch.nonzero(views.dose <= MAX_DOSE).flatten().tolist()
    flat = torch.from_numpy(samples.reshape(-1, 2))
    mean = torch.stack([transfer(views, tilt, flat).square().mean(0) for tilt in tilts]).mean(0)
    return mean.numpy().reshape(samples.shape[:2]).mean(1)


def write_hexamer(shared: Path, path: Path, box: int) -> Path:
    """CA-SP1 in the frame of the real refinement, in all of its box, made exactly C6."""
    model = read_atomic_model(next((shared / "data/models").glob("HIV1_CA-SP1_hexamer_*")))
    placed = replace(model, position_angstrom=model.position_angstrom - BOX_ANGSTROM / 2)
    one = density_map(placed, box, BOX_ANGSTROM / box)
    write_map(path, Map(symmetrise(one.data, point_group("C6")), one.pixel_size_angstrom))
    return path


def central_spheres(shared: Path, dataset: Dataset, count: int) -> np.ndarray:
    """Rows of the particles of TS_01 on the virus-like particles nearest the middle of the tomogram."""
    spheres = starfile.read(shared / "data/empiar10164/Picks/job009/annotations/TS_01_spheres.star")
    centre = spheres[[f"rlnCoordinate{axis}" for axis in "XYZ"]].to_numpy() * BINNED_ANGSTROM
    series = dataset.tilt_series[0]
    centre -= (np.array(series.tomogram_size) / 2 - 1) * series.pixel_size_angstrom
    rows = np.flatnonzero(dataset.particles.tilt_series == 0)
    _, sphere = cKDTree(centre).query(dataset.particles.centre_angstrom[rows])
    return rows[np.isin(sphere, np.argsort(np.linalg.norm(centre, axis=1))[:count])]


def far_apart(dataset: Dataset, distance_angstrom: float) -> np.ndarray:
    """Rows of the particles of TS_01 that keep a distance from each other, from the middle of the tomogram outwards."""
    rows = np.flatnonzero(dataset.particles.tilt_series == 0)
    centre = dataset.particles.centre_angstrom[rows]
    kept: list[int] = []
    for row in np.argsort(np.linalg.norm(centre, axis=1)):
        if (np.linalg.norm(centre[kept] - centre[row], axis=1) >= distance_angstrom).all():
            kept.append(int(row))
    return rows[kept]


def without_angles(particles: Particles) -> Particles:
    """Positions only."""
    nothing = np.tile(np.eye(3), (len(particles), 1, 1))
    unknown = np.full(len(particles), np.nan)
    return replace(
        particles,
        rotation_subtomogram=nothing,
        rotation_particle=nothing,
        tilt_prior_degrees=unknown,
        psi_prior_degrees=unknown,
        rot_prior_degrees=unknown,
    )


def as_picked(shared: Path, particles: Particles, seed: int = 0) -> Particles:
    """The particles of TS_01 where they were picked, along the sphere's normal, turned at random about it."""
    picks = starfile.read(shared / "data/empiar10164/Picks/job019/particles.star")
    picks = picks[picks.rlnTomoName == "TS_01"][[f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]].to_numpy()
    _, nearest = cKDTree(picks).query(particles.centre_angstrom)
    turn = Rotation.from_euler("z", np.random.default_rng(seed).uniform(0, 360, (len(particles), 1)), degrees=True).as_matrix()
    return replace(
        particles, position_angstrom=picks[nearest], rotation_particle=PICKED_AS @ turn, origin_angstrom=np.zeros((len(picks[nearest]), 3))
    )
