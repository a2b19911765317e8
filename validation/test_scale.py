"""What a refinement costs: as planned, in proportion to its particles, and less of the user's time with more workers."""

from __future__ import annotations

import math

import pytest

from scaling import command, iteration_seconds, iterations_wall_seconds, planned_bytes, simulated

LOCAL = ["--particle-diameter", 270, "--sigma-ang", 3, "--offset-range", 10, "--max-iter", 2]


@pytest.mark.parametrize(
    ("box", "tilts", "particles", "threads", "search"),
    [(24, 11, 8, 1, "local"), (48, 21, 32, 2, "local"), (48, 21, 32, 1, "global"), (96, 21, 8, 1, "local"), (96, 11, 8, 2, "global")],
)
def test_peak_memory_is_that_of_the_plan(box, tilts, particles, threads, search, tmp_path, claims):
    """Largest resident memory of a whole refinement over what it announced."""
    experiment = simulated(tmp_path / "set", box, tilts, 2, particles)
    start = ["--box", box, *LOCAL] if search == "local" else ["--ref", experiment / "truth_class1.mrc", *LOCAL[:2], "--max-iter", 2]
    peak, _, log = command("refine", "--i", experiment, *start, "--j", threads, folder=tmp_path / "ref")
    claims.measured(f"peak over plan, box {box}, {search}, {threads} threads", peak / planned_bytes(log), at_least=0.8, at_most=1.2)


def test_cost_is_linear_in_particles(tmp_path, claims):
    """Exponent of the growth of one iteration's CPU time with the number of particles, 64 to 1,024."""
    experiment = simulated(tmp_path / "set", 24, 11, 8, 128)
    iteration_seconds(experiment, 24, 16)  # compiles
    seconds = {count: iteration_seconds(experiment, 24, count) for count in (64, 256, 1024)}
    for count, taken in seconds.items():
        claims.measured(f"CPU ms per particle, {count} particles", 1e3 * taken / count)
    claims.measured("exponent", math.log(seconds[1024] / seconds[64]) / math.log(16), at_least=0.85, at_most=1.1)


def test_cost_grows_with_images(tmp_path, claims):
    """CPU time of one iteration of 32 particles: exponent of its growth with the tilts, and with the edge of the box."""
    cases = {(box, tilts): simulated(tmp_path / f"{box}_{tilts}", box, tilts, 1, 32) for box, tilts in ((48, 11), (48, 41), (96, 11))}
    iteration_seconds(cases[48, 11], 48, 16)  # compiles
    seconds = {case: iteration_seconds(experiment, case[0]) for case, experiment in cases.items()}
    for (box, tilts), taken in seconds.items():
        claims.measured(f"CPU s, box {box}, {tilts} tilts", taken)
    claims.measured("exponent of tilts", math.log(seconds[48, 41] / seconds[48, 11]) / math.log(41 / 11), at_most=1.2)
    claims.measured("exponent of the box's edge", math.log(seconds[96, 11] / seconds[48, 11]) / math.log(2), at_most=3.2)


@pytest.mark.long
def test_two_workers_take_half_the_time(tmp_path, claims):
    """Time of two iterations in one process of one thread over that with two workers of one thread; needs two idle cores."""
    experiment = simulated(tmp_path / "set", 48, 41, 4, 64)
    words = ["refine", "--i", experiment, "--box", 48, *LOCAL, "--j", 1]
    _, _, alone = command(*words, folder=tmp_path / "alone")
    _, _, together = command(*words, "--workers", 2, folder=tmp_path / "together")
    claims.measured("times as fast", iterations_wall_seconds(alone) / iterations_wall_seconds(together), at_least=1.8)
    one, two = ((tmp_path / name / "run_class001.mrc").read_bytes()[1024:] for name in ("alone", "together"))
    claims.measured("bytes of the map that differ", sum(a != b for a, b in zip(one, two, strict=True)), at_most=0)
