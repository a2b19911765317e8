"""Bad input through the command line: exit code 2, a sentence with file, place and remedy, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tomobayes.cli import main
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.maps.resampling import crop_or_pad
from tomobayes.model import Map

Edit = Callable[[], object]
STACK, PARTICLES, TOMOGRAMS, TILTS = "sim/TS_01.mrcs", "sim/particles.star", "sim/tomograms.star", "sim/tilt_series/TS_01.star"
REFINE = ["refine", "--i", "sim", "--ref", "sim/truth_class1.mrc", "--particle-diameter", "250", "--max-iter", "1", "--j", "1"]
RECONSTRUCT = ["reconstruct", "--i", "sim", "--box", "24", "--particle-diameter", "250", "--j", "1"]
EXTRACT = ["extract", "--i", "sim", "--box", "24", "--j", "1"]


def columns(file: str, table: str, edit: Callable[[dict[str, np.ndarray]], object]) -> Edit:
    """Edit the columns of one table of a STAR file."""

    def apply() -> None:
        tables = read_star(Path(file))
        changed = {label: cells.astype(object) for label, cells in tables[table].columns.items()}
        edit(changed)
        tables[table] = Table(table, {label: cells.astype(str) for label, cells in changed.items()}, tables[table].is_list)
        write_star(Path(file), tables.values())

    return apply


def cell(file: str, table: str, label: str, row: int, value: str) -> Edit:
    return columns(file, table, lambda cells: cells[label].__setitem__(row, value))


def pixels(edit: Callable[[np.ndarray], object]) -> Edit:
    def apply() -> None:
        with mrcfile.mmap(STACK, "r+") as stream:
            edit(stream.data)

    return apply


def truncate() -> None:
    Path(STACK).write_bytes(Path(STACK).read_bytes()[:-500])


def drop_image() -> None:
    with mrcfile.open(STACK, "r+") as stream:
        stream.set_data(stream.data[:-1].copy())


def other_voxel(path: str, size: float) -> Edit:
    def apply() -> None:
        with mrcfile.open(path, "r+") as stream:
            stream.voxel_size = size

    return apply


def larger_reference() -> None:
    small = read_map("sim/truth_class1.mrc")
    write_map("large.mrc", Map(crop_or_pad(small.data, 32), 16.0))


IMAGES = {
    "missing stack": (Path(STACK).unlink, [STACK, "are not there", "correct their names"]),
    "truncated stack": (truncate, [STACK, "is truncated", "its header tells of"]),
    "stack too short": (drop_image, [STACK, "holds 8 images, but", "TS_01.star"]),
    "NaN pixels": (pixels(lambda data: data[3].__setitem__((4, 5), np.nan)), [STACK, "image 4", "1 pixels are NaN", "write again"]),
    "constant image": (pixels(lambda data: data[2].fill(7)), [STACK, "image 3", "is constant", "remove or write again"]),
    "pixel sizes contradict": (other_voxel(STACK, 12.0), [STACK, "12.0000 Å contradicts 16.0000 Å", "correct the header or the STAR file"]),
    "unknown tomogram": (cell(PARTICLES, "particles", "rlnTomoName", 2, "TS_99"), [PARTICLES, "row 3", "rlnTomoName", "TS_99"]),
    "duplicated name": (
        columns(PARTICLES, "particles", lambda cells: cells["rlnTomoParticleName"].__setitem__(4, cells["rlnTomoParticleName"][1])),
        [PARTICLES, "rlnTomoParticleName", "TS_01/2"],
    ),
}


@pytest.mark.parametrize("command", [REFINE, RECONSTRUCT, EXTRACT], ids=lambda words: words[0])
@pytest.mark.parametrize("fault", IMAGES)
def test_faulty_data_are_refused_at_the_door(fault, command, tiny, capsys):
    edit, parts = IMAGES[fault]
    edit()
    refused([*command, "--o", "out"], parts, capsys)


def refused(words: list[str], parts: list[str], capsys) -> None:
    before = sorted(Path().rglob("*"))
    assert main(words) == 2
    complaint = "\n".join(line for line in capsys.readouterr().err.splitlines() if line.startswith("tomobayes: "))
    for part in parts:
        assert part.lower() in complaint.lower(), complaint
    assert sorted(Path().rglob("*")) == before


def test_missing_columns_are_listed_all_at_once(tiny, capsys):
    columns(PARTICLES, "particles", lambda cells: [cells.pop(f"rlnCenteredCoordinate{axis}Angst") for axis in "XYZ"])()
    columns(TILTS, "TS_01", lambda cells: [cells.pop(label) for label in ("rlnDefocusU", "rlnTomoYTilt")])()
    refused([*REFINE, "--o", "out"], [PARTICLES, "rlnCenteredCoordinateXAngst", TILTS, "rlnDefocusU", "rlnTomoYTilt"], capsys)


@pytest.mark.parametrize("command", [RECONSTRUCT, EXTRACT], ids=lambda words: words[0])
def test_box_larger_than_the_image(command, tiny, capsys):
    words = ["120" if word == "24" else word for word in command]
    refused([*words, "--o", "out"], ["--box", "a box of 120 pixels", "images of 96 x 80 pixels", "ask for at most 80"], capsys)


@pytest.mark.parametrize(
    ("edit", "options", "parts"),
    [
        (larger_reference, ["--ref", "large.mrc", "--box", "24"], ["large.mrc", "32 voxels of 16 Å", "not 24 of 16 Å", "resample it"]),
        (other_voxel("sim/truth_class1.mrc", 12.0), ["--bin", "1"], ["sim/truth_class1.mrc", "of 12 Å", "of 16 Å", "resample it"]),
        (other_voxel("sim/truth_class1.mrc", 12.0), [], ["sim/truth_class1.mrc", "finer than", "(16 Å)"]),
        (larger_reference, ["--mask", "large.mrc"], ["large.mrc", "32 voxels", "not 24"]),
        (lambda: write_map("empty.mrc", Map(np.zeros((24,) * 3), 16.0)), ["--ref", "empty.mrc"], ["empty.mrc", "is constant"]),
    ],
)
def test_unfit_references(edit, options, parts, tiny, capsys):
    edit()
    words = REFINE if "--ref" not in options else [word for word in REFINE if word not in ("--ref", "sim/truth_class1.mrc")]
    refused([*words, *options, "--o", "out"], parts, capsys)


def test_spoilt_stored_images(tiny, capsys):
    assert main(["extract", "--i", "sim", "--p", "sim/particles_truth.star", "--box", "24", "--j", "1", "--stack2d", "--o", "stacks"]) == 0
    path = next(Path("stacks/Subtomograms").rglob("*_stack2d.mrcs"))
    with mrcfile.mmap(path, "r+") as stream:
        stream.data[1] = np.nan
    words = ["reconstruct", "--i", "stacks", "--particle-diameter", "250", "--j", "1", "--o", "out"]
    refused(words, [str(path), "image 2", "NaN"], capsys)


def test_stored_images_that_contradict_the_options(tiny, capsys):
    assert main(["extract", "--i", "sim", "--box", "24", "--j", "1", "--stack2d", "--o", "stacks"]) == 0
    words = ["reconstruct", "--i", "stacks", "--box", "20", "--bin", "2", "--particle-diameter", "250", "--o", "out"]
    refused(words, ["--box: is 20, but the stored stacks have 24", "--bin: is 2, but the stored stacks are binned by 1"], capsys)


def test_particles_of_half_a_half_set(tiny, capsys):
    columns("sim/particles.star", "particles", lambda cells: cells.update(rlnRandomSubset=np.array(["1", "2"] * 7 + ["0", "0"])))()
    refused([*RECONSTRUCT, "--o", "out"], [PARTICLES, "row 15, column rlnRandomSubset", "2 of 16 particles"], capsys)
