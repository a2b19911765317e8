"""Alignment of phantoms: what was wrong is found, with the right sign and error bar; what was right, or says nothing, stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from alignment_scene import DIAMETER, references_of, seen_as, true_dataset, with_images
from scipy.spatial.transform import Rotation

from small_experiment import phantom
from tomobayes.compute.executors import InProcess
from tomobayes.jobs.align_report import round_sentences
from tomobayes.model import Dataset
from tomobayes.tiltseries.aligned import AlignSettings, Group, align_series, largest
from tomobayes.tiltseries.applied import applied
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.motion_scales import MotionPlan
from tomobayes.tiltseries.rounds import AlignmentState, align
from tomobayes.tiltseries.shifted import shift_series

SETTINGS = AlignSettings(reach_angstrom=24.0, diameter_angstrom=DIAMETER)
NOISE = 1.0


@pytest.fixture(scope="module")
def density():
    return phantom(sigma=6.0)


@pytest.fixture(scope="module")
def truth() -> Dataset:
    return with_images(true_dataset(), NOISE)


@pytest.fixture(scope="module")
def wrong(truth) -> Dataset:
    """Shifts off by 5 Å and positions by 4."""
    random = np.random.default_rng(3)
    one = truth.tilt_series[0]
    series = replace(one, shift_angstrom=one.shift_angstrom + random.normal(0, 5, one.shift_angstrom.shape))
    table = truth.particles
    return replace(
        truth,
        tilt_series=(series,),
        particles=replace(table, position_angstrom=table.position_angstrom + random.normal(0, 4, (len(table), 3))),
    )


def _rows(dataset: Dataset) -> np.ndarray:
    return np.arange(len(dataset.particles))


def _displacement(wrong: Dataset, truth: Dataset) -> np.ndarray:
    """(P, F, 2) Å from where particles are believed to where they are."""
    seen = []
    for one in (wrong, truth):
        moved = one.particles.centre_angstrom[:, None] + (0 if one.motion_angstrom is None else np.stack(one.motion_angstrom))
        series = one.tilt_series[0]
        points = np.broadcast_to(moved, (len(moved), series.n_tilts, 3))
        seen.append(np.einsum("fij,pfj->pfi", series.rotation[:, :2], points) + series.shift_angstrom)
    return seen[1] - seen[0]


def _error(found, wrong: Dataset, truth: Dataset) -> np.ndarray:
    return found.displacement.numpy() - _displacement(wrong, truth)


def _reduced_chi(found, error: np.ndarray) -> float:
    covariance = found.uncertainty.displacement.numpy()
    return float(np.einsum("pfi,pfij,pfj->pf", error, np.linalg.inv(covariance), error).mean() / 2)


def test_shifts_and_positions_are_found_with_honest_errors(density, truth, wrong):
    found = align_series(wrong, Cutter(wrong), _rows(wrong), references_of(density, 16), SETTINGS, None, True)
    before, after = (np.sqrt((error**2).mean()) for error in (_displacement(wrong, truth), _error(found, wrong, truth)))
    assert before > 5
    assert after < 0.15 * before
    assert 0.6 < _reduced_chi(found, _error(found, wrong, truth)) < 1.6
    assert found.kept.choice.tilts.all()
    assert (found.kept.gain > 0).all()
    corrected = applied(wrong, [found])
    assert np.sqrt((_displacement(corrected, truth) ** 2).mean()) == pytest.approx(after, rel=1e-6)


@pytest.mark.parametrize("by", ["particles", "images"])
def test_images_are_shifted_to_where_particles_are(density, truth, by):
    """Either axis has its own sign; whole images find their place far beyond the reach of tables."""
    off = np.array([7.0, -11.0] if by == "particles" else [95.0, -61.0])
    one = truth.tilt_series[0]
    shifted = replace(truth, tilt_series=(replace(one, shift_angstrom=one.shift_angstrom - off),))
    found = shift_series(Cutter(shifted), _rows(truth), references_of(density, 16), SETTINGS, by)
    assert found.kept.choice.tilts.all()
    np.testing.assert_allclose(found.displacement.numpy(), np.broadcast_to(off, found.displacement.shape), atol=1.0)


def test_a_tilt_on_the_wrong_side_of_a_wave_is_fetched(density, truth):
    """Displacements beside which a fit from where the tilt is ends on another peak than the highest."""
    one, settings = truth.tilt_series[0], replace(SETTINGS, reach_angstrom=50.0)
    for far in (35.0, 42.0):
        shift = one.shift_angstrom.copy()
        shift[[0, 3]] -= [[far, 0.0], [0.0, -far]]
        away = replace(truth, tilt_series=(replace(one, shift_angstrom=shift),))
        found = align_series(away, Cutter(away), _rows(truth), references_of(density, 16), settings, None, True)
        assert np.sqrt((_error(found, away, truth) ** 2).mean()) < 1.0, far


def test_turned_tilts_are_turned_back(density, truth):
    one = truth.tilt_series[0]
    turn = Rotation.from_euler("xyz", np.random.default_rng(1).normal(0, 1.0, (one.n_tilts, 3)), degrees=True).as_matrix()
    turned = replace(truth, tilt_series=(replace(one, rotation=turn @ one.rotation),))
    settings = replace(SETTINGS, positions=False)
    found = align_series(turned, Cutter(turned), _rows(truth), references_of(density, 16), settings, None, True)
    after = applied(turned, [found])
    angles = [Rotation.from_matrix(some.tilt_series[0].rotation @ np.swapaxes(one.rotation, 1, 2)).magnitude() for some in (turned, after)]
    assert np.sqrt((angles[1] ** 2).mean()) < 0.5 * np.sqrt((angles[0] ** 2).mean())
    assert np.sqrt((_error(found, turned, truth) ** 2).mean()) < 0.7


def test_moving_particles_are_followed(density):
    """Two neighbours move in opposite ways, by dose and not in the order of the rows."""
    still = true_dataset()
    one = still.tilt_series[0]
    velocity = np.where(still.particles.centre_angstrom[:, :1] > 0, 1.0, -1.0) * np.array([0.6, 0.4, 0.3])
    moving = replace(still, motion_angstrom=tuple(velocity[:, None] * one.dose[:, None]))
    images = with_images(moving, 0.5 * NOISE)
    believed = seen_as(still, images)
    settings = replace(SETTINGS, motion=MotionPlan(0.5, 300.0))
    found = align_series(believed, Cutter(believed), _rows(still), references_of(density, 16), settings, None, True)
    without = align_series(believed, Cutter(believed), _rows(still), references_of(density, 16), SETTINGS, None, True)
    errors = [np.sqrt((_error(some, believed, moving) ** 2).mean()) for some in (found, without)]
    assert errors[0] < 0.5 * errors[1]
    assert found.kept.by_unknown["motion"] > 0
    after = applied(believed, [found])
    assert after.motion_angstrom is not None
    first = int(np.argmin(one.dose))
    assert np.abs(np.stack(after.motion_angstrom)[:, first]).max() == 0
    relative = [np.stack(some.motion_angstrom) for some in (after, moving)]
    relative = [some - some.mean(0) for some in relative]
    assert np.corrcoef(relative[0].ravel(), relative[1].ravel())[0, 1] > 0.8


def test_what_is_right_stays(density, truth):
    """On true parameters nothing moves by more than its error."""
    settings = replace(SETTINGS, motion=MotionPlan())
    found = align_series(truth, Cutter(truth), _rows(truth), references_of(density, 16), settings, None, True)
    moved = found.displacement.square().mean().sqrt()
    unrestrained = align_series(truth, Cutter(truth), _rows(truth), references_of(density, 16), settings, None, False)
    error = unrestrained.uncertainty.displacement.diagonal(dim1=-2, dim2=-1).mean().sqrt()
    assert moved < 0.7 * error
    assert min(found.kept.by_unknown.values()) < 0


def test_a_tilt_without_signal_stays_and_the_others_do_not(density, truth, wrong):
    one = wrong.tilt_series[0]
    values = one.images.values.copy()
    values[2] = np.random.default_rng(0).normal(0, NOISE, values[2].shape)
    blank = replace(wrong, tilt_series=(replace(one, images=replace(one.images, values=values)),))
    found = align_series(blank, Cutter(blank), _rows(wrong), references_of(density, 16), SETTINGS, None, True)
    assert found.kept.choice.tilts.tolist() == [tilt != 2 for tilt in range(one.n_tilts)]
    after = applied(blank, [found]).tilt_series[0]
    np.testing.assert_array_equal(after.rotation[2], one.rotation[2])
    np.testing.assert_array_equal(after.shift_angstrom[2], one.shift_angstrom[2])
    others = np.arange(one.n_tilts) != 2
    assert np.sqrt((_error(found, blank, truth)[:, others] ** 2).mean()) < 1.0


def test_only_the_tilts_asked_for_change(density, wrong):
    settings = replace(SETTINGS, first=1, last=3)
    found = align_series(wrong, Cutter(wrong), _rows(wrong), references_of(density, 16), settings, None, False)
    tilts, *_ = found.placement.split(found.parameters)
    rank = found.placement.rank
    assert torch.equal(tilts[:, :5].any(1), (rank >= 1) & (rank <= 3))


def test_a_second_round_counts_from_the_first_start(density, truth, wrong):
    """Boxes cut where the first round has put the particles lead to the same alignment as those cut before."""
    references = references_of(density, 16)
    first = align_series(wrong, Cutter(wrong), _rows(wrong), references, SETTINGS, None, False)
    one = align_series(wrong, Cutter(wrong), _rows(wrong), references, SETTINGS, first, False)
    two = align_series(wrong, Cutter(applied(wrong, [first])), _rows(wrong), references, SETTINGS, first, False)
    assert (one.displacement - two.displacement).square().mean().sqrt() < 0.2
    assert np.sqrt((_error(two, wrong, truth) ** 2).mean()) < 0.8


def test_what_is_not_usable_stays(density, truth, wrong):
    """Particles that take no part keep their places, and tell nothing of the others'."""
    usable = np.arange(len(truth.particles)) % 4 > 0
    references = references_of(density, 16)
    state = list(align(Cutter(wrong), usable, references, lambda *_: references, SETTINGS, 2, InProcess()))[-1]
    np.testing.assert_array_equal(state.found[0].rows, np.flatnonzero(usable))
    moved = state.dataset.particles.centre_angstrom - wrong.particles.centre_angstrom
    assert not moved[~usable].any()
    assert moved[usable].any(1).all()


def test_a_line_says_so_where_nothing_changes(density, truth):
    references = references_of(density, 16)
    found = align_series(truth, Cutter(truth), _rows(truth), references, SETTINGS, None, True)
    still = replace(found, parameters=0 * found.parameters)
    sentence, moved = (next(round_sentences(truth, AlignmentState(1, {0: one}, truth, references))) for one in (still, found))
    assert sentence.endswith("nothing changes: nothing would raise the likelihood of images held out")
    assert "known to" not in sentence and ("known to" in moved or not found.parameters.any())


def test_noise_of_whole_images_is_that_of_the_largest_group():
    few, many = (Group(None, np.arange(count), np.arange(count), None, None, None) for count in (3, 9))
    assert largest([few, many]) is many
