"""Symmetric particles on the geometry of EMPIAR-10164: C6 from picks with a tilt prior, O from positions alone; against the true poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from commands import Check, fsc_curve, mean_fsc, read_json, tomobayes
from hiv_scene import (
    MAX_DOSE,
    as_picked,
    central_spheres,
    far_apart,
    first_series,
    noise_spectrum,
    real_dataset,
    some_of,
    without_angles,
    write_hexamer,
)
from tomobayes.formats.relion import read_dataset, write_dataset, write_particles
from tomobayes.model import Particles

BOX = 48


@dataclass(frozen=True)
class Symmetric:
    """A simulated specimen.

    Parameters
    ----------
    folder : holds sim/, true.star (poses of the particles to refine) and picked.star (what is known of them)
    diameter : Å, of the sphere that a reference is masked with; inner_px : of what belongs to one particle alone
    """

    folder: Path
    symmetry: str
    diameter: float
    inner_px: int

    @property
    def images(self) -> tuple[object, ...]:
        return ("--i", self.folder / "sim", "--max-dose", MAX_DOSE, "--particle-diameter", self.diameter)

    @property
    def truth(self) -> Path:
        return self.folder / "sim/truth_class1.mrc"


def _simulated(shared: Path, folder: Path, placed: np.ndarray, *options: object) -> None:
    """Images of TS_01 with a model at some of its particles, under the noise of the real images."""
    dataset = real_dataset(shared)
    folder.mkdir()
    np.savetxt(folder / "noise.txt", noise_spectrum(shared, dataset))
    write_dataset(folder / "real", first_series(dataset, placed), what=("particles", "tomograms"))
    tomobayes("simulate", "--i", folder / "real", "--noise", folder / "noise.txt", *options, "--o", folder / "sim")


def _choose(folder: Path, chosen: np.ndarray, known: Callable[[Particles], Particles]) -> None:
    """The particles to be refined, as they are and as they are known."""
    everything = read_dataset(folder / "sim", folder / "sim/particles_truth.star")
    true = some_of(everything.particles, chosen)
    write_particles(folder / "true.star", everything.with_particles(true))
    write_particles(folder / "picked.star", everything.with_particles(known(true)))


@pytest.fixture(scope="module")
def hexamers(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Symmetric:
    """CA-SP1 at all 1,829 places of TS_01; to be refined are the 550 on the two virus-like particles nearest the middle.

    At this signal-to-noise ratio the half-maps of the true poses are about as good as RELION's final ones from as many real particles.
    """
    folder = tmp_path_factory.mktemp("hiv") / "hexamers"
    dataset = real_dataset(shared)
    all_of_them = np.flatnonzero(dataset.particles.tilt_series == 0)
    model = write_hexamer(shared, folder.parent / "hexamer.mrc", BOX)
    _simulated(shared, folder, all_of_them, "--model", model, "--angpix", 5.4, "--snr", 0.05)
    chosen = np.searchsorted(all_of_them, central_spheres(shared, dataset, 2))
    _choose(folder, chosen, lambda true: as_picked(shared, true))
    return Symmetric(folder, "C6", 230.0, 8)


@pytest.fixture(scope="module")
def apoferritin(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Symmetric:
    """Apoferritin at 562 of those places, 130 Å apart, under the same noise per Å²; to be refined are the 200 in the middle."""
    folder = tmp_path_factory.mktemp("hiv") / "apoferritin"
    placed = far_apart(real_dataset(shared), 130.0)
    _simulated(shared, folder, placed, "--model", "builtin:apoferritin", "--box", BOX, "--angpix", 4.05, "--snr", 0.068)
    _choose(folder, np.arange(200), lambda true: without_angles(as_picked(shared, true)))
    return Symmetric(folder, "O", 135.0, 16)


def _refined(one: Symmetric, *options: object) -> Path:
    folder = one.folder / "refined"
    tomobayes(
        *("refine", *one.images, "--p", one.folder / "picked.star", "--ref", one.truth, "--sym", one.symmetry, *options, "--o", folder)
    )
    return folder


def _reconstructed(one: Symmetric, name: str, like: Path, change: Callable[[Particles], Particles] | None = None) -> Path:
    """Half-maps of one.folder/NAME.star (poses changed if asked), in the half-sets of the refinement."""
    given = read_dataset(one.folder / "sim", one.folder / f"{name}.star")
    half = read_dataset(one.folder / "sim", like / "run_data.star").particles.half
    particles = replace(change(given.particles) if change else given.particles, half=half)
    write_particles(one.folder / f"{name}_halves.star", given.with_particles(particles))
    return _half_maps(one, name, one.folder / f"{name}_halves.star")


def _half_maps(one: Symmetric, name: str, particles: Path) -> Path:
    folder = one.folder / f"map_{name}"
    tomobayes("reconstruct", *one.images, "--p", particles, "--sym", one.symmetry, "--box", BOX, "--o", folder)
    return folder


def _turned_at_random(particles: Particles) -> Particles:
    return replace(particles, rotation_particle=Rotation.random(len(particles), random_state=0).as_matrix())


def _shell(curve: np.ndarray, threshold: float) -> int:
    """Last shell before the curve falls below a threshold."""
    low = np.flatnonzero(curve[1:] < threshold)
    return int(low[0]) if len(low) else len(curve) - 1


def _claim(one: Symmetric, refined: Path, null: Path, shared: Path, check: Check, claims) -> None:
    true, found = _reconstructed(one, "true", refined), _half_maps(one, "refined", refined / "run_data.star")
    maps = {"figure": found, "oracle": true, "null": null}
    between = {key: fsc_curve(shared, folder / "half1.mrc", folder / "half2.mrc", 16) for key, folder in maps.items()}
    to_truth = {key: fsc_curve(shared, folder / "merged.mrc", one.truth, one.inner_px) for key, folder in maps.items()}
    for what, curves, threshold, barred in (
        ("half-maps agree, FSC 0.143", between, 0.143, True),
        ("the map is right, FSC to the truth 0.5", to_truth, 0.5, True),
        ("half-maps agree, FSC 0.9", between, 0.9, False),  # the others end at Nyquist, where nothing could be better
    ):
        shells = {key: _shell(curve, threshold) for key, curve in curves.items()}
        claims.measured(
            f"{one.symmetry}: last shell where {what} (of {BOX // 2 - 1})",
            shells["figure"],
            at_least=shells["oracle"] - 1 if barred else None,
            oracle=shells["oracle"],
            null=shells["null"],
        )
    means = {key: mean_fsc(check, folder / "merged.mrc", one.truth, one.inner_px) for key, folder in maps.items()}
    claims.measured(f"{one.symmetry}: mean FSC to the truth", means["figure"], oracle=means["oracle"], null=means["null"])
    errors, before = (
        read_json(check("pose_error.py", poses, one.folder / "true.star", "--sym", one.symmetry, "--json"))
        for poses in (refined / "run_data.star", one.folder / "picked.star")
    )
    for key, what in (("angle_median", "median angular error modulo symmetry, °"), ("shift_median", "median shift error, Å")):
        claims.measured(f"{one.symmetry}: {what}", errors[key], null=before[key])


@pytest.mark.long
def test_hexamers_from_picks_with_a_tilt_prior(hexamers, shared, check, claims):
    """Picks: 5 Å (median) off, along the sphere's normal (8° off in the median), turned at random about it."""
    refined = _refined(hexamers, "--ini-high", 30, "--sigma-tilt", 10, "--offset-range", 24)
    _claim(hexamers, refined, _reconstructed(hexamers, "picked", refined), shared, check, claims)


@pytest.mark.long
def test_apoferritin_from_positions(apoferritin, shared, check, claims):
    """Positions as picked, no angles: one in 24 orientations is searched."""
    refined = _refined(apoferritin, "--ini-high", 20)
    _claim(apoferritin, refined, _reconstructed(apoferritin, "picked", refined, _turned_at_random), shared, check, claims)
