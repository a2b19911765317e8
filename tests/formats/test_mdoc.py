"""mdoc files: order and dose are read or asked for, never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomobayes.formats.mdoc import read_mdoc
from tomobayes.model import BadInput

HEAD = "PixelSpacing = 1.35\nVoltage = 300\nImageSize = 40 30\n\n[T =     Tilt axis angle = 85.3, binning = 1  spot = 8  camera = 2]\n\n"


def section(number: int, angle: float, time: str = "", *entries: str) -> str:
    lines = [f"[ZValue = {number}]", f"TiltAngle = {angle}", f"SubFramePath = X:\\frames\\a_{number}.eer", *entries]
    return "\n".join([*lines, *([f"DateTime = {time}"] if time else [])]) + "\n\n"


def written(folder: Path, *sections: str) -> Path:
    path = folder / "TS.mdoc"
    path.write_text(HEAD + "".join(sections))
    return path


def test_real_mdoc_of_a_dose_symmetric_series(shared: Path) -> None:
    acquired = read_mdoc(shared / "data/geometry/cryocat_TS_017_018/TS_017/017.mdoc")
    assert (acquired.pixel_size_angstrom, acquired.voltage_kv, acquired.axis_degrees, acquired.image_size) == (
        1.971,
        300,
        82.9,
        (4096, 4096),
    )
    assert not acquired.dose_fault and not acquired.order_fault
    after = np.loadtxt(shared / "data/geometry/cryocat_TS_017_018/TS_017/017_corrected_dose.txt")
    doses = np.array([view.dose for view in acquired.views])
    assert np.allclose(doses + 2.23843, after, atol=0.01)
    first = min(acquired.views, key=lambda view: view.key.order or 0)
    assert first.key.stage_degrees == 7.97729 and [view.key.section for view in acquired.views] == list(range(60))


def test_real_mdoc_without_doses_says_so_and_agrees_with_relions_order(shared: Path) -> None:
    acquired = read_mdoc(shared / "data/geometry/tiltstack_EMPIAR10164_TS_01/mdoc/TS_01.mrc.mdoc")
    assert "no ExposureDose" in acquired.dose_fault and not acquired.order_fault
    assert [view.key.order for view in acquired.views] == list(range(41))
    assert acquired.views[1].file == "TS_01_001_3.0.mrc" and acquired.views[1].key.frames == "TS_01_001_3.0"


def test_doses_of_different_exposures_are_summed_in_the_order_of_time(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        section(0, -3, "06-Jun-23  23:59:58", "ExposureDose = 3"),
        section(1, 0, "06-Jun-2023  23:58:00", "ExposureDose = 10"),
        section(2, 3, "07-Jun-23  00:00:10", "ExposureDose = 3.5"),
    )
    assert [(view.key.order, view.dose) for view in read_mdoc(path).views] == [(1, 10.0), (0, 0.0), (2, 13.0)]


@pytest.mark.parametrize(
    "times", [("", ""), ("06-Jun-23  23:59:58", ""), ("06-Jun-23  23:59:58",) * 2, ("06-Foo-23  1:1:1", "1-1-1 nan:1:1")]
)
def test_an_order_that_cannot_be_known_is_not_guessed(tmp_path: Path, times: tuple[str, str]) -> None:
    acquired = read_mdoc(written(tmp_path, *(section(i, i, time, "ExposureDose = 3") for i, time in enumerate(times))))
    assert acquired.order_fault and acquired.dose_fault
    assert all(view.key.order is None and view.dose is None for view in acquired.views)


def test_prior_doses_tell_the_order_where_times_do_not_and_must_follow_it_where_they_do(tmp_path: Path) -> None:
    doses = ("PriorRecordDose = 6", "PriorRecordDose = 0.1", "PriorRecordDose = 3")
    untimed = read_mdoc(written(tmp_path, *(section(i, i, "", dose) for i, dose in enumerate(doses))))
    assert [(view.key.order, view.dose) for view in untimed.views] == [(2, 6.0), (0, 0.1), (1, 3.0)]
    timed = read_mdoc(written(tmp_path, *(section(i, i, f"06-Jun-23  23:0{i}:00", dose) for i, dose in enumerate(doses))))
    assert [view.key.order for view in timed.views] == [0, 1, 2]
    assert "does not grow" in timed.dose_fault and timed.views[0].dose is None


def test_the_axis_comes_from_the_rotation_where_no_title_names_it(tmp_path: Path) -> None:
    path = tmp_path / "TS.mdoc"
    path.write_text("[ZValue = 0]\r\nTiltAngle = 0\r\nRotationAngle = 175.3\r\n")
    assert read_mdoc(path).axis_degrees == pytest.approx(85.3)


def test_one_file_of_frames_for_several_views_is_refused(tmp_path: Path) -> None:
    same = section(0, 0) + section(1, 3).replace("a_1", "a_0")
    with pytest.raises(BadInput, match="several views have the same frames"):
        read_mdoc(written(tmp_path, same))


@pytest.mark.parametrize(
    "text", ["", "no sections", "[ZValue = 0]\n", "[ZValue = 0]\nTiltAngle = 1,5\n", "[ZValue = 0]\nTiltAngle = 1\n" * 2]
)
def test_what_is_no_mdoc_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.mdoc").write_text(text)
    with pytest.raises(BadInput):
        read_mdoc(tmp_path / "a.mdoc")
