"""How a refinement goes on: what users may say about steps, and when searches become local."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tomobayes.inference.refinement import initial_state
from tomobayes.inference.schedule import next_phase, next_plan
from tomobayes.inference.state import Record, Settings


def _record(iteration: int, *, step: float, sigma: float, moved: float) -> Record:
    return Record(
        iteration=iteration,
        phase="global",
        resolution_angstrom=40.0 - iteration,
        radius=10,
        angular_step=step,
        shift_step_angstrom=3.0,
        rotation_change=5.0,
        shift_change_angstrom=2.0,
        moved=moved,
        sigma_rotation=sigma,
        sigma_shift_angstrom=1.0,
        best_probability=0.1,
        discarded=0.0,
        offset_sigma=5.0,
        log_evidence=0.0,
    )


SETTLED = (_record(1, step=3.75, sigma=2.0, moved=0.5), _record(2, step=3.6, sigma=1.5, moved=0.0))
MOVING = (_record(1, step=3.75, sigma=2.0, moved=0.5), _record(2, step=3.6, sigma=1.0, moved=0.4))


@pytest.mark.parametrize(
    ("history", "order", "phase"),
    [
        (SETTLED, None, "local"),
        (MOVING, None, "global"),
        (SETTLED, 5, "global"),  # 1.9° were asked for, and 1.8 x 1.5° are next
        (MOVING, 5, "local"),
        (MOVING, 6, "global"),
        (MOVING, 0, "local"),
        ((SETTLED[0], replace(SETTLED[1], sigma_rotation=4.0)), 5, "local"),  # so uncertain that 1.9° will never be asked for
    ],
)
def test_searches_are_local_from_the_step_that_was_asked_for(history, order, phase, experiment):
    settings = replace(experiment.settings, sigma_rotation=float("inf"), auto_local_healpix_order=order, max_iterations=20)
    assert next_phase(settings, history) == (phase, False)


def _first_shifts(experiment, settings: Settings) -> list[float]:
    """Spacings (Å) of the shifts that the first expectation tries, level by level."""
    state = initial_state(experiment.given, experiment.parts(), experiment.gather, settings, None)
    plan, _ = next_plan(state, settings)
    return [level.shift_step_px * settings.pixel_size_angstrom for level in plan.levels]


@pytest.mark.parametrize(("sigma", "step"), [(4.0, None), (4.0, 8.0), (float("inf"), 3.0)])
def test_first_shifts_are_as_fine_as_was_asked_for(sigma, step, experiment):
    settings = replace(experiment.settings, sigma_rotation=sigma, healpix_order=0, offset_step=step)
    coarse = step or settings.pixel_size_angstrom
    assert _first_shifts(experiment, settings)[-2:] == pytest.approx([coarse, coarse / 2])
