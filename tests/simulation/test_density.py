"""Densities against direct sums over atoms, an independent simulator's map, and the atoms the reduced models came from."""

from __future__ import annotations

import gemmi
import mrcfile
import numpy as np
import pytest
import torch

from tomobayes.formats.atomic_model import builtin_model, read_atomic_model
from tomobayes.maps.fsc import fsc
from tomobayes.model import BadInput, Map
from tomobayes.simulation.density import VOLTS, density_map, particle_diameter_angstrom, smallest_box
from tomobayes.simulation.scattering import Scatterers, as_beads, atomic_shape, atoms, beads, centred


def _molecule(n: int = 60, seed: int = 0) -> Scatterers:
    random = np.random.default_rng(seed)
    return atoms(random.normal(scale=12, size=(n, 3)), random.choice(["C", "N", "O", "P"], n).tolist(), np.ones(n))


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(fsc(torch.from_numpy(a), torch.from_numpy(b)))


@pytest.mark.parametrize(("box", "pixel"), [(48, 1.5), (33, 3.0), (24, 5.0)])
def test_density_is_the_direct_sum_over_atoms(box, pixel):
    """F(k) = Σ f(k)·exp(-2πi k·x)·exp(-B k²/4) at random frequencies up to Nyquist."""
    molecule, b_factor = _molecule(), 40.0
    spectrum = np.fft.fftn(np.fft.ifftshift(density_map(molecule, box, pixel, b_factor).data)) * pixel**3 / VOLTS
    index = np.random.default_rng(1).integers(-(box // 2) + 1, box // 2, size=(300, 3))
    index = index[np.linalg.norm(index, axis=1) <= (box - 1) // 2]
    k = index / (box * pixel)
    squared = np.square(k).sum(1)
    shapes = np.stack([shape.at(squared) for shape in molecule.shapes])[molecule.kind]
    direct = (shapes * np.exp(-2j * np.pi * molecule.position_angstrom @ k.T)).sum(0) * np.exp(-b_factor * squared / 4)
    got = spectrum[index[:, 2], index[:, 1], index[:, 0]]
    assert np.abs(got - direct).max() < 0.02 * np.abs(direct).max()
    assert np.sqrt(np.mean(np.abs(got - direct) ** 2) / np.mean(np.abs(direct) ** 2)) < 0.005


@pytest.mark.parametrize("box", [20, 21])
def test_the_origin_is_the_voxel_at_half_the_box(box):
    one = beads(np.array([[0.0, 0.0, 0.0]]), np.array([1.0]), np.array([4.0]))
    density = density_map(one, box, 3.0).data
    assert np.unravel_index(density.argmax(), density.shape) == (box // 2,) * 3
    moved = density_map(beads(np.array([[6.0, -3.0, 9.0]]), np.array([1.0]), np.array([4.0])), box, 3.0).data
    assert np.unravel_index(moved.argmax(), moved.shape) == (box // 2 + 3, box // 2 - 1, box // 2 + 2)


def test_the_sum_is_the_contrast_of_all_points():
    molecule = _molecule()
    assert density_map(molecule, 40, 3.0).data.sum() * 3.0**3 == pytest.approx(VOLTS * molecule.contrast_angstrom.sum(), rel=1e-3)


def test_centred_puts_the_centre_of_contrast_on_the_origin():
    density = density_map(centred(_molecule(seed=3)), 48, 3.0, b_factor_angstrom2=600.0).data
    axis = np.arange(48) - 24
    grid = np.meshgrid(axis, axis, axis, indexing="ij")
    np.testing.assert_allclose([(one * density).sum() / density.sum() for one in grid], 0, atol=0.02)


def test_a_box_too_small_says_what_is_needed():
    with pytest.raises(ValueError, match="the box must have at least"):
        density_map(_molecule(), 16, 2.0)
    density_map(_molecule(), smallest_box(_molecule(), 2.0), 2.0)


@pytest.mark.parametrize(("element", "volume"), [("C", 16.44), ("O", 9.13), ("P", 5.73)])
def test_atoms_scatter_as_tabulated_above_the_water_they_displace(element, volume):
    shape = atomic_shape(element)
    squared = np.array([0.0, 0.01, 0.04, 0.25, 4.0])
    tabulated = [gemmi.Element(element).c4322.calculate_sf(k2 / 4) for k2 in squared]
    water = (tabulated - shape.at(squared)) / (0.0314 * (2 * 0.5288 + 1.9834))
    np.testing.assert_allclose(water, volume * np.exp(-np.pi * squared * volume ** (2 / 3)), rtol=1e-3, atol=1e-4)


def test_beads_keep_contrast_centre_and_low_resolution():
    molecule = _molecule(400)
    few = as_beads(molecule, np.arange(400) // 4)
    assert len(few.weight) == 100
    assert few.contrast_angstrom.sum() == pytest.approx(molecule.contrast_angstrom.sum())
    centre = [(one.contrast_angstrom[:, None] * one.position_angstrom).sum(0) for one in (few, molecule)]
    np.testing.assert_allclose(centre[0], centre[1], atol=1e-8)


def test_diameter_of_a_ball():
    axis = np.arange(64) - 32
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    assert particle_diameter_angstrom(Map((radius <= 20).astype(np.float32), 2.0)) == pytest.approx(80, abs=4)


def test_ribosome_agrees_with_an_independent_simulators_map(shared):
    model = centred(read_atomic_model(shared / "data" / "models" / "4v5d_70S_Tthermophilus.cif.gz"))
    ours = density_map(model, 96, 4.0).data
    theirs = mrcfile.read(shared / "data" / "simulated" / "ribosome" / "truth_class1.mrc")
    correlation = _correlation(ours, theirs.astype(np.float32))
    assert correlation[1:45].min() > 0.98
    reduced = _correlation(density_map(builtin_model("ribosome"), 96, 4.0).data, ours)
    assert reduced[1:27].min() > 0.98 and reduced[1:35].min() > 0.96


def test_apoferritin_is_a_shell():
    density = density_map(builtin_model("apoferritin"), 40, 4.0).data
    assert abs(density[18:23, 18:23, 18:23]).max() < 0.15 * density.max()
    assert particle_diameter_angstrom(Map(density, 4.0)) == pytest.approx(130, abs=15)


def test_bad_models_are_named(tmp_path):
    (tmp_path / "empty.pdb").write_text("END\n")
    for bad, complaint in ((tmp_path / "absent.cif", "no atomic model"), (tmp_path / "empty.pdb", "no atoms")):
        with pytest.raises(BadInput, match=complaint):
            read_atomic_model(bad)
    with pytest.raises(BadInput, match="Choose one of apoferritin, ribosome"):
        builtin_model("rubisco")
