"""Joining: what is the same becomes one, what differs is said, nothing is mixed up."""

from dataclasses import replace

import numpy as np
import pytest

from small_experiment import OPTICS, particles, positions, series
from tomobayes.model import BadInput, Dataset
from tomobayes.particles.joining import joined
from tomobayes.particles.tilt_series_difference import difference


def one(name="TS_01", prefix="a", **changes):
    table = particles(positions(2, 40))
    names = np.array([f"{prefix}{i}" for i in range(4)])
    columns = {"mine": np.array([f"{prefix}{i}" for i in range(4)])}
    return Dataset((replace(series(128), name=name),), (OPTICS,), replace(table, name=names, columns=columns, **changes))


def test_the_same_tilt_series_and_optics_become_one():
    result = joined({"A": one(), "B": one(prefix="b")}).dataset
    assert [each.name for each in result.tilt_series] == ["TS_01"]
    assert len(result.optics) == 1
    assert result.particles.columns["mine"].tolist() == ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]
    assert result.particles.tilt_series.tolist() == [0] * 8
    assert result.particles.half.tolist() == [1, 2, 1, 2] * 2


def test_rows_follow_their_own_tilt_series_and_optics():
    first, second = one("TS_01"), one("TS_02", "b")
    other = replace(OPTICS, name="b", voltage_kv=200.0)
    second = replace(second, optics=(other, OPTICS), particles=replace(second.particles, optics=np.array([0, 0, 1, 1])))
    result = joined({"A": first, "B": second}).dataset
    assert [result.tilt_series[i].name for i in result.particles.tilt_series] == ["TS_01"] * 4 + ["TS_02"] * 4
    assert [result.optics[i].name for i in result.particles.optics] == ["a"] * 4 + ["b"] * 2 + ["a"] * 2
    assert [group.columns["rlnOpticsGroup"] for group in result.optics] == ["1", "2"]


def test_optics_of_one_name_that_differ_are_told_apart():
    second = one("TS_02", "b")
    second = replace(second, optics=(replace(OPTICS, amplitude_contrast=0.1),))
    result = joined({"A": one(), "B": second}).dataset
    assert [group.name for group in result.optics] == ["a", "a_2"]
    assert [each.optics_name for each in result.tilt_series] == ["a", "a_2"]
    assert result.particles.optics.tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pixel_size_angstrom": 5.0}, "pixel size 5.0 Å, not 6.0"),
        ({"defocus_u_angstrom": series(128).defocus_u_angstrom + 30}, "defocus U by up to 30 Å"),
        ({"shift_angstrom": series(128).shift_angstrom + np.array([0, 2])}, "shifts by up to 2 Å"),
        ({"rotation": np.roll(series(128).rotation, 1, axis=0)}, "tilt angles by up to"),
        ({"astigmatism_radians": series(128).astigmatism_radians + 0.1}, "astigmatism by up to 5.7"),
    ],
)
def test_tilt_series_that_differ_are_refused(changes, said):
    other = one(prefix="b")
    other = replace(other, tilt_series=(replace(other.tilt_series[0], **changes),))
    with pytest.raises(BadInput, match=said):
        joined({"A": one(), "B": other})


def test_astigmatism_means_the_same_half_a_turn_on():
    first = series(128)
    assert difference(first, replace(first, astigmatism_radians=first.astigmatism_radians + np.pi)) == []


def test_repeated_names_are_refused_or_renamed():
    with pytest.raises(BadInput, match="4 particle names occur in more than one set: a0, a1, a2, a3"):
        joined({"A": one(), "B": one()})
    result = joined({"A": one(), "B": one()}, rename=True)
    assert result.dataset.particles.name.tolist() == ["a0", "a1", "a2", "a3", "a0_2", "a1_2", "a2_2", "a3_2"]
    assert "4 particles were renamed" in " ".join(result.notes)


def test_half_sets_stay_only_where_all_have_them():
    result = joined({"A": one(), "B": one(prefix="b", half=np.zeros(4, dtype=int))})
    assert not result.dataset.particles.half.any()
    assert "B has none" in " ".join(result.notes)


def test_columns_that_one_lacks_go_and_are_told():
    second = one(prefix="b")
    second = second.with_particles(replace(second.particles, columns={**second.particles.columns, "more": np.array(["1"] * 4)}))
    result = joined({"A": one(), "B": second})
    assert list(result.dataset.particles.columns) == ["mine"]
    assert "dropped from B: more" in " ".join(result.notes)


def test_particles_without_motion_stand_still():
    moving = replace(one(), motion_angstrom=tuple(np.ones((13, 3)) for _ in range(4)))
    motion = joined({"A": moving, "B": one(prefix="b")}).dataset.motion_angstrom
    assert [float(each.sum()) for each in motion] == [39.0] * 4 + [0.0] * 4


def test_boxes_that_differ_are_refused_and_gone_where_one_set_has_no_images():
    def stored(prefix, size):
        plain = one(prefix=prefix)
        columns = {**plain.particles.columns, "rlnImageName": np.array(["x.mrcs"] * 4)}
        optics = replace(OPTICS, columns={"rlnImageSize": size, "rlnVoltage": "300"})
        return replace(plain, particles=replace(plain.particles, columns=columns), optics=(optics,))

    with pytest.raises(BadInput, match="ImageSize 64, not ImageSize 96"):
        joined({"A": stored("a", "96"), "B": stored("b", "64")})
    assert joined({"A": stored("a", "96"), "B": stored("b", "96")}).dataset.optics[0].columns["rlnImageSize"] == "96"
    mixed = joined({"A": stored("a", "96"), "B": one(prefix="b")}).dataset
    assert all("rlnImageSize" not in group.columns for group in mixed.optics)
    assert "rlnImageName" not in mixed.particles.columns
