"""Classes and poses summed together: the same numbers as a search of each class, and particles that find both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tomobayes.fourier.slices import Accumulator
from tomobayes.fourier.volume import from_map
from tomobayes.geometry.rotations import angular_distance_degrees
from tomobayes.imaging.noise import precision
from tomobayes.inference.classification.climb import first_accepted, hops
from tomobayes.inference.classification.iteration import classify, consensus, with_classes
from tomobayes.inference.classification.poses import apart, expect_classes, jointly
from tomobayes.inference.classification.search import first_search
from tomobayes.inference.classification.seen import References
from tomobayes.inference.classification.starts import Annealing, agreement_of_runs, random_starts
from tomobayes.inference.classification.state import Climb
from tomobayes.inference.expectation import expect
from tomobayes.inference.schedule import next_plan, pose_prior
from tomobayes.inference.search import searched
from tomobayes.inference.task import task_of

LABELS = np.arange(16) % 4 // 2
RADIUS = 10


@pytest.fixture(scope="module")
def asked(mixed):
    """What the search of the first portion needs: its task, weights, references, plan."""
    dataset, parts, gather, settings, state = mixed
    images = replace(settings.images, sigma_rotation=4.0, offset_range=8.0, offset_sigma=4.0)
    part, search = parts[0], first_search(images, RADIUS)
    statistics, rows = gather(part), torch.from_numpy(part.particles)
    weight = precision(statistics, state.sigma2[part.tilt_series, part.half])
    truth = with_classes(state, torch.eye(2)[torch.from_numpy(LABELS)])
    *_, last = classify(dataset.particles, parts, gather, truth, replace(settings, images=replace(settings.images, max_iterations=2)))
    one, two, both = (from_map(volume, RADIUS) for volume in last.maps.references[part.half - 1][0])
    prior, (plan, _) = pose_prior(dataset.particles, part, images, search), next_plan(search, images)
    task = task_of(statistics, weight, both, prior, state.rotation[rows], state.centre_angstrom[rows], RADIUS)
    return task, weight, References((one, two), both), plan


def test_one_class_is_a_refinement(asked):
    """Sums, noise and poses are those of the expectation of a single map."""
    task, weight, references, plan = asked
    single = References((references.classes[0],), references.classes[0])
    mine, its = (Accumulator(task.statistics.box, RADIUS) for _ in range(2))
    seen = expect_classes(task, weight, jointly(task, single, plan, None, torch.ones(1).double()), [mine])
    count = len(task.data)
    estimates, noise, _, _ = expect(task.statistics, weight, single.common, task.prior, plan, *_start(task), accumulators=[its] * count)
    torch.testing.assert_close(mine.sums().data, its.sums().data)
    torch.testing.assert_close(seen.estimates.rotation, estimates.rotation)
    torch.testing.assert_close(seen.noise.power, noise.power)
    torch.testing.assert_close(seen.log_evidence, estimates.log_evidence)
    torch.testing.assert_close(seen.gain_nats, torch.zeros(count).double(), atol=1e-3, rtol=0)


def _start(task):
    """Poses in the tomogram."""
    statistics = task.statistics
    centre = statistics.anchor_angstrom + statistics.pixel_size_angstrom * torch.einsum(
        "pij,pj->pi", statistics.frame, task.shift_px.double()
    )
    return statistics.frame @ task.rotation.double(), centre


def test_classes_are_weighed_by_the_evidence_of_their_searches(asked):
    task, _, references, plan = asked
    occupancy = torch.tensor([0.7, 0.3]).double()
    found = list(jointly(task, references, plan, None, occupancy))
    alone = [[one.log_evidence for one in searched(replace(task, volume=volume), plan)] for volume in references.classes]
    expected = torch.softmax(torch.tensor(alone).double().T + occupancy.log(), 1)
    for one, shares in zip(found, expected, strict=True):
        torch.testing.assert_close(one.probability, torch.where(shares > 1e-4, shares, 0), atol=1e-5, rtol=0)


def test_a_part_aligns_and_the_whole_classifies(asked):
    """Poses are those of the alignment's own search, shared out among the classes."""
    task, _, references, plan = asked
    aligned = replace(references, alignment=references.common)
    alone = list(searched(replace(task, volume=references.common), plan))
    for one, pose in zip(apart(task, aligned, plan, None, torch.ones(2).double() / 2), alone, strict=True):
        shares = sum(poses.probability for poses in one.poses if poses is not None)
        assert float(shares.sum()) == pytest.approx(1, abs=2e-4)
        assert float(angular_distance_degrees(one.likeliest.rotations[0], pose.rotations[0])) < 20


def test_orientations_are_searched_everywhere(asked, mixed):
    """A particle whose orientation nobody knows comes back to its own, whether poses are found with all classes or with one part."""
    task, _, references, _ = asked
    images = replace(mixed[3].images, healpix_order=1, offset_range=4.0)
    plan, grid = next_plan(first_search(images, RADIUS), images)
    task = replace(task, prior=replace(task.prior, sigma_rotation=np.inf))
    occupancy, true = torch.ones(2).double() / 2, task.rotation[0]
    together = next(jointly(task, references, plan, grid, occupancy))
    by_part = next(apart(task, replace(references, alignment=references.common), plan, grid, occupancy))
    for found in (together.likeliest, by_part.likeliest):
        best = found.rotations[found.probability.sum(0).argmax()]
        assert float(angular_distance_degrees(best, true)) < 20


def test_classes_are_found_while_poses_are_searched(mixed):
    """From poses that are off by 3° and 4 Å in each component."""
    dataset, parts, gather, settings, _ = mixed
    random, table = np.random.default_rng(7), dataset.particles
    turn = Rotation.from_rotvec(np.deg2rad(random.normal(0, 3, (16, 3)))).as_matrix()
    given = replace(table, rotation_particle=table.rotation_particle @ turn, origin_angstrom=random.normal(0, 4, (16, 3)))
    images = replace(settings.images, sigma_rotation=4.0, offset_range=16.0, offset_sigma=5.0, max_iterations=2)
    searching = replace(settings, images=images, searches=True)
    state = consensus(given, parts, gather, searching)
    *_, last = classify(given, parts, gather, with_classes(state, torch.eye(2)[torch.from_numpy(LABELS)]), searching)
    assert (last.posterior.argmax(1).numpy() == LABELS).mean() >= 0.8
    assert last.search.phase == "local"
    before, after = (np.linalg.norm(one - table.centre_angstrom, axis=1) for one in (given.centre_angstrom, last.centre_angstrom.numpy()))
    assert np.median(after) < 0.5 * np.median(before)


def test_the_first_better_candidate_is_taken():
    random = np.random.default_rng(0)
    assert first_accepted(np.array([0.0, 2.0, 3.0]), 1.0, 0.0, random) == 1
    assert first_accepted(np.array([0.0, 0.5]), 1.0, 0.0, random) is None
    assert first_accepted(np.array([0.0, 5.0]), 1.0, 1.0, random) == 0


def test_hops_go_uphill_and_only_a_share_moves():
    scores, before = torch.zeros(1000, 2).double(), torch.tensor([[1.0, 0.0]]).expand(1000, 2)
    scores[:, 1] = 1
    uphill = hops(scores, before, np.arange(1000), Climb(0.0, 1.0, 0, 0))
    assert (uphill[:, 1] == 1).all()
    share = hops(scores, before, np.arange(1000), Climb(0.0, 0.3, 0, 0))[:, 1].mean()
    assert float(share) == pytest.approx(0.3, abs=0.05)
    downhill = hops(-scores, before, np.arange(1000), Climb(0.1, 1.0, 0, 0))[:, 1].mean()
    assert float(downhill) == pytest.approx(0.1, abs=0.03)
    assert torch.equal(
        hops(scores, before, np.arange(1000), Climb(0.0, 0.3, 0, 0))[500:],
        hops(scores[500:], before[500:], np.arange(500, 1000), Climb(0.0, 0.3, 0, 0)),
    )


def test_runs_that_climb_agree(mixed):
    """Poses given and searched: both start from random labels."""
    dataset, parts, gather, settings, state = mixed
    *_, found = random_starts(dataset.particles, parts, gather, state, settings, 2, 0, annealing=Annealing(0.1, 0.8, 4))
    assert found.start.kind == "climb"
    assert found.consistency.shape == (16,)
    assert set(found.consistency.tolist()) <= {0.5, 1.0}


def test_agreement_does_not_depend_on_names():
    one = np.array([0, 0, 1, 1, 2, 2])
    two = np.array([2, 2, 0, 0, 1, 0])
    np.testing.assert_allclose(agreement_of_runs([one, two], 3), [1, 1, 1, 1, 1, 0.5])
