"""Symmetry expansion: mates see the same map, halves stay together, priors turn along."""

from dataclasses import replace

import numpy as np
import pytest

from small_experiment import OPTICS, particles, positions, series
from tomobayes.formats.euler import euler_from_matrix
from tomobayes.geometry.pointgroups import point_group
from tomobayes.model import Dataset
from tomobayes.particles.expansion import expanded


def experiment(**changes):
    table = particles(positions(3, 40))
    columns = {"mine": np.array([f"c{i}" for i in range(9)])}
    return Dataset((series(128),), (OPTICS,), replace(table, columns=columns, **changes))


@pytest.mark.parametrize("symbol", ["C6", "D2", "O"])
def test_mates_are_the_same_up_to_the_group_and_all_different(symbol):
    before, group = experiment(), point_group(symbol)
    after = expanded(before, group).particles
    count = len(group)
    assert len(after) == 9 * count == len(set(after.name.tolist()))
    assert np.array_equal(after.name[::count], before.particles.name)
    np.testing.assert_allclose(after.rotation[::count], before.particles.rotation, atol=1e-12)
    steps = np.swapaxes(after.rotation[::count], 1, 2)[:, None] @ after.rotation.reshape(9, count, 3, 3)
    np.testing.assert_allclose(steps, np.broadcast_to(group, steps.shape), atol=1e-9)
    np.testing.assert_allclose(after.centre_angstrom, np.repeat(before.particles.centre_angstrom, count, axis=0))
    assert (after.half.reshape(9, count) == before.particles.half[:, None]).all()
    assert after.columns["mine"].tolist() == np.repeat(before.particles.columns["mine"], count).tolist()


def with_priors(off_degrees=0.0):
    """Priors where the particles' axes are, or off by an angle in tilt."""
    rot, tilt, psi = euler_from_matrix(experiment().particles.rotation_particle).T
    return experiment(tilt_prior_degrees=tilt + off_degrees, psi_prior_degrees=psi, rot_prior_degrees=rot + off_degrees)


@pytest.mark.parametrize("symbol", ["C3", "D3", "T"])
def test_priors_that_hold_still_hold(symbol):
    after = expanded(with_priors(), point_group(symbol)).particles
    angles = euler_from_matrix(after.rotation_particle)
    np.testing.assert_allclose(after.tilt_prior_degrees, angles[:, 1], atol=1e-6)
    np.testing.assert_allclose(np.cos(np.radians(after.psi_prior_degrees - angles[:, 2])), 1, atol=1e-9)
    np.testing.assert_allclose(np.cos(np.radians(after.rot_prior_degrees - angles[:, 0])), 1, atol=1e-9)


def axis_of(tilt, psi):
    tilt, psi = np.radians(tilt), np.radians(psi)
    return np.stack([-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)], -1)


@pytest.mark.parametrize("symbol", ["C3", "D3"])
def test_priors_keep_their_distance_from_the_pose(symbol):
    before, group = with_priors(10.0), point_group(symbol)
    after = expanded(before, group).particles
    cosine = (axis_of(after.tilt_prior_degrees, after.psi_prior_degrees) * after.rotation_particle[:, :, 2]).sum(1)
    np.testing.assert_allclose(np.degrees(np.arccos(cosine)), 10, atol=1e-6)
    sign = group[:, 2, 2]
    first = axis_of(before.particles.tilt_prior_degrees, before.particles.psi_prior_degrees)
    there = axis_of(after.tilt_prior_degrees, after.psi_prior_degrees).reshape(9, len(group), 3)
    np.testing.assert_allclose(there, sign[:, None] * first[:, None], atol=1e-9)
    off = np.radians(after.rot_prior_degrees - euler_from_matrix(after.rotation_particle)[:, 0])
    np.testing.assert_allclose(np.cos(off), np.cos(np.radians(10)), atol=1e-9)


def test_no_priors_stay_none():
    after = expanded(experiment(), point_group("D2")).particles
    assert np.isnan(after.tilt_prior_degrees).all() and np.isnan(after.psi_prior_degrees).all()
    assert np.isnan(after.rot_prior_degrees).all()
