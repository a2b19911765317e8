"""Files that once crashed a reader, or were refused without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_relion_faults import change

from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.model import BadInput, Map


def refused(project: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_dataset(project)
    assert caught.value.problems
    return str(caught.value)


@pytest.mark.parametrize("name", ["particles.star", "tomograms.star", "tilt_series/0001.star", "motion.star"])
@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_files_without_a_table(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text)
    assert "holds no table" in refused(project)


def test_tomograms_without_a_row(project: Path) -> None:
    change(project / "tomograms.star", "global", lambda c: c.update({label: cells[:0] for label, cells in list(c.items())}))
    assert "has no tomograms" in refused(project)


def test_whole_numbers_beyond_all_bounds(project: Path) -> None:
    change(project / "particles.star", "particles", lambda c: c["rlnClassNumber"].__setitem__(1, "99999999999999999999"))
    assert "row 2, column rlnClassNumber: '99999999999999999999' is not a whole number" in refused(project)


@pytest.mark.parametrize("label", ["rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"])
def test_optics_of_a_tomogram_that_are_no_numbers(project: Path, label: str) -> None:
    change(project / "tomograms.star", "global", lambda c: c[label].__setitem__(1, "2.'7"))
    assert f'row 2, column {label}: "2.\'7" is not a number' in refused(project)


def test_headers_of_more_pixels_than_can_be_counted_in_64_bits(tmp_path: Path) -> None:
    path = tmp_path / "map.mrc"
    write_map(path, Map(np.zeros((4, 4, 4), dtype=np.float32), 1.0))
    path.write_bytes(np.full(3, 2**21, dtype="<i4").tobytes() + path.read_bytes()[12:])
    with pytest.raises(BadInput, match=r"is truncated: \d+ bytes, but its header tells of 2097152 x 2097152 x 2097152 pixels"):
        read_map(path)
