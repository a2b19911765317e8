"""Views of several programs are brought together by what they are, not by the lines they stand on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tomobayes.formats.view_matching import Match, match_views
from tomobayes.formats.views import ViewKey

KNOWN, OTHER = Path("a.mdoc"), Path("b.aln")
ANGLES = tuple(range(-60, 61, 3))


def matched(known: Sequence[ViewKey], other: Sequence[ViewKey]) -> Match:
    return match_views(known, other, OTHER, KNOWN)


@given(order=st.permutations(range(41)), kept=st.sets(st.integers(0, 40), min_size=1), noise=st.floats(-0.4, 0.4))
def test_views_are_found_by_their_angle_wherever_they_stand(order: list[int], kept: set[int], noise: float) -> None:
    known = [ViewKey(float(ANGLES[i]), i) for i in range(41)]
    there = [i for i in order if i in kept]
    match = matched(known, [ViewKey(ANGLES[i] + noise, section=place) for place, i in enumerate(there)])
    assert not match.problems
    assert match.of_known == tuple(there.index(i) if i in kept else None for i in range(41))


def test_repeated_angles_are_told_apart_by_their_order() -> None:
    known = [ViewKey(0.0, 0), ViewKey(3.0, 1), ViewKey(0.0, 2)]
    assert matched(known, [ViewKey(0.0, 2), ViewKey(0.0, 0), ViewKey(3.0, 1)]).of_known == (1, 2, 0)
    assert "could be 0.00°, taken as number 1" in str(matched(known, [ViewKey(0.0), ViewKey(0.0), ViewKey(3.0)]).problems[0])
    assert matched(known, [ViewKey(3.0), ViewKey(0.0)]).problems, "which of the two exposures was kept is not known"


def test_a_view_that_is_not_known_is_named() -> None:
    match = matched([ViewKey(0.0), ViewKey(3.0)], [ViewKey(0.0), ViewKey(3.0), ViewKey(-6.0)])
    assert "has not: -6.00°" in str(match.problems[0])


def test_sections_count_only_for_a_stack_of_as_many_views() -> None:
    known = [ViewKey(section=i) for i in range(3)]
    assert matched(known, [ViewKey(section=i) for i in (2, 0, 1)]).of_known == (1, 2, 0)
    match = matched(known, [ViewKey(section=i) for i in range(2)])
    assert "has 2 views and a.mdoc has 3" in str(match.problems[0]) and match.of_known == (None,) * 3


def test_names_of_frames_survive_motion_correction() -> None:
    known = [ViewKey(frames="TS_01_000_0.0"), ViewKey(frames="TS_01_001_-3.0")]
    assert matched(known, [ViewKey(frames="TS_01_001_-3_0"), ViewKey(frames="TS_01_000_0_0")]).of_known == (1, 0)


def test_views_without_anything_in_common_are_a_problem() -> None:
    assert "nothing that is known of them" in str(matched([ViewKey(0.0)], [ViewKey(section=0)]).problems[0])


def test_fine_steps_leave_no_room_for_neighbours() -> None:
    known = [ViewKey(float(angle)) for angle in range(4)]
    assert matched(known, [ViewKey(angle + 0.4) for angle in range(4)]).of_known == (0, 1, 2, 3)
    assert matched(known, [ViewKey(angle + 0.6) for angle in range(4)]).problems
