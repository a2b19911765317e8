"""Surfaces: areas, normals and even covers against what is known of them."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.special import ellipeinc, ellipkinc

from tomobayes.formats.euler import euler_from_matrix
from tomobayes.particles.even_cover import even_cover
from tomobayes.particles.on_surfaces import PICKED_AS, facing, standing_particles
from tomobayes.particles.point_surfaces import surface_through
from tomobayes.particles.surfaces import Ellipsoid, directions, fitted_ellipsoid, fitted_sphere, sphere
from tomobayes.particles.tubes import Tube, centre_line, frames_along

TURNED = Rotation.from_euler("zyx", [20, 40, 60], degrees=True).as_matrix()
EGG = Ellipsoid(np.array([100.0, -50, 20]), np.array([250.0, 300, 420]), TURNED)


def knud_area(a, b, c):
    """Legendre's formula for the area of an ellipsoid, a >= b >= c."""
    phi = np.arccos(c / a)
    modulus = a**2 * (b**2 - c**2) / (b**2 * (a**2 - c**2))
    mixed = ellipeinc(phi, modulus) * np.sin(phi) ** 2 + ellipkinc(phi, modulus) * np.cos(phi) ** 2
    return 2 * np.pi * (c**2 + a * b / np.sin(phi) * mixed)


def test_areas():
    assert sphere(np.zeros(3), 100).area == pytest.approx(4 * np.pi * 1e4, rel=1e-9)
    assert EGG.area == pytest.approx(knud_area(420, 300, 250), rel=1e-4)
    assert EGG.cloud(5000)[1].sum() == pytest.approx(EGG.area, rel=1e-3)


def test_nearest_points_of_an_ellipsoid_lie_on_it_with_its_normals():
    random = np.random.default_rng(0)
    there, _ = EGG.cloud(300)
    points, normals = EGG.nearest(there + random.normal(0, 10, there.shape))
    local = (points - EGG.centre) @ TURNED
    np.testing.assert_allclose(((local / EGG.semi_axes) ** 2).sum(1), 1, atol=1e-9)
    expected = local / EGG.semi_axes**2 @ TURNED.T
    np.testing.assert_allclose(normals, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-9)
    assert ((points - EGG.centre) * normals).sum(1).min() > 0


def test_fits_find_what_points_lie_on():
    noise = np.random.default_rng(1).normal(0, 3, (60, 3))
    ball, misfit = fitted_sphere(np.array([5.0, 6, 7]) + 200 * directions(60) + noise)
    np.testing.assert_allclose([*ball.centre, ball.semi_axes[0]], [5, 6, 7, 200], atol=2)
    assert 2 < misfit < 4
    egg, misfit = fitted_ellipsoid(EGG.cloud(60)[0] + noise)
    np.testing.assert_allclose(egg.centre, EGG.centre, atol=3)
    np.testing.assert_allclose(np.sort(egg.semi_axes), [250, 300, 420], atol=8)
    assert 2 < misfit < 4
    assert np.linalg.det(egg.axes) == pytest.approx(1)


@pytest.mark.parametrize("fit", [fitted_sphere, fitted_ellipsoid, surface_through])
def test_too_few_points_are_refused(fit):
    with pytest.raises(ValueError, match="points do not determine"):
        fit(directions(3))


def test_points_in_a_plane_are_no_sphere_and_a_saddle_is_no_ellipsoid():
    random = np.random.default_rng(0)
    flat = np.append(random.normal(0, 100, (30, 2)), np.zeros((30, 1)), 1)
    with pytest.raises(ValueError, match="not in a plane"):
        fitted_sphere(flat)
    with pytest.raises(ValueError, match="no ellipsoid"):
        fitted_ellipsoid(flat + np.stack([0 * flat[:, 0], 0 * flat[:, 0], (flat[:, 0] ** 2 - flat[:, 1] ** 2) / 100], 1))


BENT = np.array([[0, 0, 0], [300, 40, 0], [600, 200, 60], [800, 500, 120.0]])
SURFACES = {
    "sphere": sphere(np.array([10.0, 20, 30]), 400),
    "ellipsoid": EGG,
    "tube": Tube(centre_line(BENT, 8), 120.0),
    "free": surface_through(EGG.cloud(150)[0])[0],
}


@pytest.mark.parametrize("name", SURFACES)
def test_covers_are_even(name):
    """A hexagonal lattice of area s² has its neighbours at 1.07 s and its deepest holes at 0.62 s."""
    surface, spacing = SURFACES[name], 50.0
    points, normals = even_cover(surface, spacing)
    assert len(points) == round(surface.area / spacing**2)
    nearest = cKDTree(points).query(points, k=2)[0][:, 1] / spacing
    assert nearest.min() > 0.65
    assert 0.9 < np.median(nearest) < 1.07
    assert nearest.std() < 0.12
    hole = cKDTree(points).query(surface.cloud(20 * len(points))[0])[0] / spacing
    assert np.percentile(hole, 99.9) < 0.85
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    ahead = surface.nearest(points + 5 * normals)[0]
    assert np.median(np.linalg.norm(ahead - points, axis=1)) < 0.5


def test_random_points_would_fail_that_test():
    points = SURFACES["sphere"].cloud(20_000)[0][np.random.default_rng(0).integers(20_000, size=804)]
    nearest = cKDTree(points).query(points, k=2)[0][:, 1] / 50
    assert nearest.min() < 0.2 and np.median(nearest) < 0.6


def test_a_straight_tube_is_a_cylinder():
    tube = Tube(centre_line(np.array([[0.0, 0, 0], [0, 0, 500]]), 5), 80.0)
    assert tube.area == pytest.approx(2 * np.pi * 80 * 500)
    points, normals = even_cover(tube, 40.0)
    np.testing.assert_allclose(np.hypot(points[:, 0], points[:, 1]), 80, atol=1e-9)
    np.testing.assert_allclose(normals[:, 2], 0, atol=1e-9)
    np.testing.assert_allclose((points * normals).sum(1), 80, atol=1e-9)
    assert points[:, 2].min() > 0 and points[:, 2].max() < 500


def test_a_bent_tube_keeps_its_area_and_more_of_it_lies_outside_the_bend():
    turn = np.linspace(0, 4, 12)
    ring = Tube(centre_line(np.stack([400 * np.cos(turn), 400 * np.sin(turn), 0 * turn], 1), 5), 150.0)
    points, weight = ring.cloud(20_000)
    assert weight.sum() == pytest.approx(2 * np.pi * 150 * 400 * 4, rel=2e-3)
    outer = np.hypot(points[:, 0], points[:, 1]) > 400
    share = (np.pi * 400 + 2 * 150) / (2 * np.pi * 400)  # ∫ (1 + r cos φ / R) dφ over the outer half
    assert weight[outer].sum() / weight.sum() == pytest.approx(share, abs=0.005)


def test_frames_along_a_line_do_not_twist():
    """In a plane curve the frame's normal to the plane stays; round a whole helix turn the frame turns against the torsion."""
    turn = np.linspace(0, 2 * np.pi, 400)
    plane = frames_along(np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1))
    inside = plane[..., :2][:, 2]
    np.testing.assert_allclose(inside, np.broadcast_to(inside[0], inside.shape), atol=1e-6)
    helix = frames_along(np.stack([np.cos(turn), np.sin(turn), 0.5 * turn], 1))
    radial = np.stack([-np.cos(turn), -np.sin(turn), 0 * turn], 1)
    angle = np.unwrap(np.arctan2((radial * helix[..., 1]).sum(1), (radial * helix[..., 0]).sum(1)))
    torsion = 0.5 / (1 + 0.25)  # b/(a²+b²), per length; length of a turn 2π√(a²+b²)
    assert angle[-3] - angle[2] == pytest.approx(torsion * 2 * np.pi * 1.25**0.5 * 394 / 399, rel=1e-2)
    np.testing.assert_allclose(np.swapaxes(helix, 1, 2) @ helix, np.broadcast_to(np.eye(3), helix.shape), atol=1e-9)


def cap(noise=0.0, count=150, seed=0):
    """Picked points on a part of a sphere of 600 Å about (0, 0, -600): its normals point up."""
    random = np.random.default_rng(seed)
    unit = directions(4000)
    unit = unit[unit[:, 2] > 0.7]
    return 600 * unit[random.permutation(len(unit))[:count]] - [0, 0, 600] + random.normal(0, noise, (count, 3))


def test_a_free_surface_is_the_one_the_points_were_picked_on():
    surface, sided = surface_through(cap(noise=3.0))
    points, normals = even_cover(surface, 40.0)
    radial = points + np.array([0, 0, 600])
    distance = np.linalg.norm(radial, axis=1)
    angle = np.degrees(np.arccos((normals * radial).sum(1) / distance))
    assert sided
    assert np.abs(distance - 600).max() < 8
    assert np.median(angle) < 1.5 and np.percentile(angle, 99) < 6
    assert surface.area == pytest.approx(2 * np.pi * 600**2 * 0.3, rel=0.08)


def test_outside_is_where_it_bulges_or_away_from_a_centre_or_up():
    points = cap() * [1, 1, -1]
    assert surface_through(points)[0].normals[:, 2].max() < 0
    assert surface_through(points, np.array([0.0, 0, -1000]))[0].normals[:, 2].min() > 0
    random = np.random.default_rng(0)
    xy = random.uniform(-500, 500, (150, 2))
    wave = np.append(xy, 60 * np.sin(xy[:, :1] / 150), 1)
    surface, sided = surface_through(wave)
    assert not sided
    assert surface.normals[:, 2].min() > 0.5
    points = even_cover(surface, 50.0)[0]
    assert np.abs(points[:, 2] - 60 * np.sin(points[:, 0] / 150)).max() < 8


def test_a_closed_free_surface_has_all_its_normals_outside():
    surface, sided = surface_through(EGG.cloud(150)[0])
    assert sided
    assert (surface.normals * (surface.points - EGG.centre)).sum(1).min() > 0
    assert surface.area == pytest.approx(EGG.area, rel=0.03)


def test_standing_particles_point_along_normals_at_tilt_90():
    normals = directions(50)
    table = standing_particles(100 * normals, normals, np.zeros(50, dtype=int), np.zeros(50, dtype=int), np.arange(50).astype(str), 3)
    np.testing.assert_allclose(table.rotation[:, :, 2], normals, atol=1e-12)
    np.testing.assert_allclose(euler_from_matrix(PICKED_AS), [0, 90, 0], atol=1e-9)
    assert (table.tilt_prior_degrees == 90).all() and (table.psi_prior_degrees == 0).all()
    steps = np.swapaxes(facing(normals, np.zeros(50)), 1, 2) @ table.rotation
    np.testing.assert_allclose(steps[:, 2, 2], 1, atol=1e-12)
    turn = np.degrees(np.arctan2(steps[:, 1, 0], steps[:, 0, 0])) % 360
    assert (np.histogram(turn, 5, (0, 360))[0] >= 4).all()
