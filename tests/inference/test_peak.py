"""The peak of a posterior: slopes and widths that differences confirm, and a pose that does not depend on where the climb began."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from small_experiment import BOX, phantom
from tomobayes.fourier.slices import extract_slices
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.rotations import angular_distance_degrees, matrix_from_vector
from tomobayes.imaging.noise import precision, signal_free_sums, spectrum
from tomobayes.inference.likelihood import shift_phases
from tomobayes.inference.peak import _look, _nodes, around_peak, climb
from tomobayes.inference.priors import PosePrior
from tomobayes.inference.sampling import Level, Plan, climbing, local_plan
from tomobayes.inference.search import posteriors
from tomobayes.inference.task import Task, own_scores, task_of

RADIUS = BOX // 2 - 1


@pytest.fixture(scope="module")
def searched(experiment):
    """What a search of half 1 is given: statistics, precision, reference, prior and poses to start from."""
    part = experiment.parts()[0]
    statistics, given = experiment.gather(part), experiment.given
    rotation, centre = (torch.from_numpy(values[part.particles]) for values in (given.rotation, given.centre_angstrom))
    prior = PosePrior(
        rotation=rotation,
        sigma_rotation=8.0,
        subtomogram=torch.from_numpy(given.rotation_subtomogram[part.particles]),
        tilt=torch.full((len(rotation),), torch.nan),
        sigma_tilt=float("inf"),
        centre_angstrom=centre,
        sigma_shift_angstrom=6.0,
    )
    weight = precision(statistics, spectrum(signal_free_sums(statistics)))
    return statistics, weight, from_map(torch.from_numpy(phantom(sigma=6.0).data), RADIUS), prior, rotation, centre


@pytest.fixture(scope="module")
def task(searched) -> Task:
    return task_of(*searched, RADIUS)


def _start(task: Task, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    return task.rotation[row], task.shift_px[row]


def _density(task: Task, row: int, rotation: torch.Tensor, shift: torch.Tensor, step: torch.Tensor) -> float:
    turned = rotation @ matrix_from_vector(step[:3]).to(rotation)
    return float(own_scores(task, row, turned[None], (shift + step[3:].to(shift))[None])[0])


def _steps(size: float) -> torch.Tensor:
    return size * torch.eye(6, dtype=torch.float64)


def test_slope_is_the_difference_of_densities(task):
    rotation, shift = _start(task, 0)
    slope = _look(task, 0, rotation, shift).slope
    found = [(_density(task, 0, rotation, shift, s) - _density(task, 0, rotation, shift, -s)) / 0.04 for s in _steps(0.02)]
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), slope, rtol=0.05, atol=0.03 * float(slope.abs().max()))


def test_information_is_the_curvature_where_images_are_what_the_reference_predicts(task):
    """Fisher's information is the expectation of the curvature: images without noise show it."""
    rotation, shift = _start(task, 0)
    n = task.data.shape[1]
    points = task.statistics.points[:n]
    slices = extract_slices(task.volume, rotation[None], points)[0]
    data = task.weight[:1] * slices * shift_phases(points, -shift[None], BOX)
    clean = replace(
        task, data=data, prior_shift_px=shift[None], prior=replace(task.prior, rotation=task.to_tomogram(0, rotation.double())[None])
    )
    peak = _look(clean, 0, rotation, shift)
    assert peak.slope.abs().max() < 1e-3 * peak.information.diagonal().sqrt().max()
    steps = _steps(0.05)
    found = torch.tensor(
        [2 * peak.log_density - _density(clean, 0, rotation, shift, s) - _density(clean, 0, rotation, shift, -s) for s in steps]
    )
    torch.testing.assert_close((found / 0.05**2).double(), peak.information.diagonal(), rtol=0.1, atol=0.0)


def test_the_peak_is_one_wherever_the_climb_begins(task):
    for row in range(4):
        rotation, shift = _start(task, row)
        first = climb(task, row, rotation, shift)
        turn = matrix_from_vector(torch.deg2rad(torch.tensor([1.5, -1.0, 1.0]))).to(rotation)
        second = climb(task, row, rotation @ turn, shift + torch.tensor([0.2, -0.2, 0.1], dtype=shift.dtype))
        width = first.covariance.diagonal().sqrt()
        assert float(angular_distance_degrees(first.rotation, second.rotation)) < 0.2 * math.degrees(float(width[:3].mean()))
        assert float((first.shift_px - second.shift_px).norm()) < 0.2 * float(width[3:].mean())
        assert abs(first.log_density - second.log_density) < 0.05


def test_no_pose_nearby_is_likelier(task):
    generator = torch.Generator().manual_seed(0)
    peak = climb(task, 1, *_start(task, 1))
    spread = torch.linalg.cholesky(peak.covariance)
    for _ in range(50):
        step = spread @ torch.randn(6, generator=generator, dtype=torch.float64)
        assert _density(task, 1, peak.rotation, peak.shift_px, step) < peak.log_density + 0.05


def test_nodes_integrate_a_gaussian_to_the_fifth_degree():
    nodes, weights = _nodes()
    x, y, _ = nodes.T
    moments = [weights.sum(), (weights * x).sum(), (weights * x * y).sum(), (weights * x**2).sum(), (weights * x**4).sum()]
    assert torch.stack([*moments, (weights * x**2 * y**2).sum()]).tolist() == pytest.approx([1, 0, 0, 1, 3, 1])


def test_cubature_is_the_integral_over_a_fine_grid(searched, task):
    """Evidence and mean, against a grid of half a standard deviation."""
    peak = climb(task, 2, *_start(task, 2))
    around = around_peak(task, 2, *_start(task, 2))
    turn, move = math.degrees(float(peak.covariance.diagonal()[:3].mean().sqrt())), float(peak.covariance.diagonal()[3:].mean().sqrt())
    statistics, weight, volume, prior, _, _ = searched
    plan = Plan((Level(turn, move, RADIUS), Level(turn / 2, move / 2, RADIUS)), 4 * turn, 4 * move)
    rotation = torch.stack([task.to_tomogram(row, peak.rotation.double()) for row in range(3)])
    centre = statistics.anchor_angstrom[:3] + statistics.pixel_size_angstrom * (statistics.frame[:3] @ peak.shift_px.double())
    # All that survives a level is kept here, so that the grid is as good as it is fine.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tomobayes.inference.search.MOST", 1000)
        (grid,) = [
            one for one in posteriors(_first(statistics, 3), weight, volume, _first(prior, 3), plan, rotation, centre) if one.row == 2
        ]
    assert around.log_evidence == pytest.approx(grid.log_evidence, abs=0.25)
    means = [one.probability.double().sum(1) @ one.shifts_px.double() for one in (around, grid)]
    assert float((means[0] - means[1]).norm()) < 0.3 * move


def _first(value, count):
    fields = (
        ("data", "weight", "anchor_angstrom", "frame", "particles")
        if hasattr(value, "data")
        else ("rotation", "subtomogram", "tilt", "centre_angstrom")
    )
    return replace(value, **{name: getattr(value, name)[:count] for name in fields})


def test_images_that_say_nothing_leave_the_prior(task):
    blind = replace(task, data=torch.zeros_like(task.data), weight=torch.zeros_like(task.weight))
    peak = climb(blind, 0, *_start(blind, 0))
    widths = peak.covariance.diagonal().sqrt()
    torch.testing.assert_close(widths[:3], torch.full((3,), math.radians(8.0)).double(), rtol=0.01, atol=0.0)
    torch.testing.assert_close(widths[3:], torch.full((3,), 6.0 / task.pixel).double(), rtol=0.01, atol=0.0)
    free = replace(blind, prior=replace(blind.prior, sigma_rotation=math.inf))
    assert torch.isfinite(climb(free, 0, *_start(free, 0)).covariance).all()


def test_a_climbing_plan_looks_coarsely_and_ends_fine():
    plan = climbing(local_plan(8.0, 1.0, 16.0, 2.0, 0.25, 4.0, 30), 40.0, 64)
    assert plan.climbs and plan.levels[-1].radius == 30
    assert plan.levels[0].radius < 30 and [level.radius for level in plan.levels] == sorted(level.radius for level in plan.levels)
