"""Bad input: every fault is told at once, with the file, the row or column, and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomobayes.formats.mrc import write_stack
from tomobayes.formats.relion import ExtractedImages, read_dataset, read_optimisation_set, write_dataset
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.model import BadInput, Dataset, Problem


def change(path: Path, table: str, edit: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Edit the columns of one table of a STAR file."""
    tables = read_star(path)
    columns = {label: cells.astype(object) for label, cells in tables[table].columns.items()}
    edit(columns)
    tables[table] = Table(table, {label: cells.astype(str) for label, cells in columns.items()}, tables[table].is_list)
    write_star(path, tables.values())


def set_cell(file: str, table: str, label: str, row: int, value: str) -> Callable[[Path], None]:
    def edit(columns: dict[str, np.ndarray]) -> None:
        columns[label][row] = value

    return lambda project: change(project / file, table, edit)


def drop(file: str, table: str, *labels: str) -> Callable[[Path], None]:
    def edit(columns: dict[str, np.ndarray]) -> None:
        for label in labels:
            del columns[label]

    return lambda project: change(project / file, table, edit)


def no_rows(file: str, table: str) -> Callable[[Path], None]:
    return lambda project: change(project / file, table, lambda columns: columns.update({label: columns[label][:0] for label in columns}))


def truncate(name: str) -> Callable[[Path], None]:
    return lambda project: (project / name).write_bytes((project / name).read_bytes()[:-40])  # type: ignore[return-value, func-returns-value]


def stack(name: str, shape: tuple[int, int, int], pixel_size: float) -> Callable[[Path], None]:
    return lambda project: write_stack(project / name, np.random.default_rng(0).normal(size=shape), pixel_size)


def whole_stack(n_images: int) -> Callable[[Path], None]:
    """The first series names one stack instead of one image per tilt."""

    def edit(project: Path) -> None:
        stack("0001.mrcs", (n_images, 10, 12), 2.5)(project)
        change(project / "tomograms.star", "global", lambda c: c.update(rlnTomoTiltSeriesName=np.array(["0001.mrcs", "TS_two.a.mrcs"])))

    return edit


P, T, S = "particles.star", "tomograms.star", "tilt_series/0001.star"

FAULTS = {
    "missing stack": (lambda p: (p / "0001.mrcs").unlink(), S, "table data_0001", "tilt images are not there: {root}/0001.mrcs"),
    "truncated stack": (truncate("0001.mrcs"), "0001.mrcs", "header", "is truncated: 2424 bytes, but its header tells of 12 x 10 x 3"),
    "too few images": (
        stack("0001.mrcs", (2, 10, 12), 2.5),
        "0001.mrcs",
        "header",
        "holds 2 images, but {root}/tilt_series/0001.star names 3",
    ),
    "stack too deep": (whole_stack(4), "0001.mrcs", "header", "holds 4 images, but {root}/tilt_series/0001.star has 3 tilts in data_0001"),
    "one image for two tilts": (
        set_cell(S, "0001", "rlnMicrographName", 1, "000001@0001.mrcs"),
        S,
        "column rlnMicrographName",
        "several tilts have the same image: 1@{root}/0001.mrcs",
    ),
    "sizes differ": (
        lambda p: (stack("x.mrcs", (1, 8, 8), 2.5)(p), set_cell(S, "0001", "rlnMicrographName", 1, "x.mrcs")(p)),
        S,
        "table data_0001",
        "tilt images differ in size: 12 x 10",
    ),
    "header pixel size": (
        stack("0001.mrcs", (3, 10, 12), 2.6),
        "0001.mrcs",
        "header",
        "the pixel size 2.6000 Å contradicts 2.5000 Å of rlnTomoTiltSeriesPixelSize",
    ),
    "optics pixel size": (
        set_cell(P, "optics", "rlnTomoTiltSeriesPixelSize", 0, "2.6"),
        P,
        "column rlnTomoTiltSeriesPixelSize",
        "rlnTomoTiltSeriesPixelSize is 2.6 in optics group first, but 2.500000 for the tomogram 0001",
    ),
    "optics voltage": (set_cell(P, "optics", "rlnVoltage", 0, "200"), P, "column rlnVoltage", "rlnVoltage is 200 in optics group first"),
    "unknown tomogram": (
        set_cell(P, "particles", "rlnTomoName", 3, "TS_3"),
        P,
        "table data_particles, column rlnTomoName",
        "names tomograms that the tomogram file does not have: 'TS_3' (row 4)",
    ),
    "duplicated names": (
        set_cell(P, "particles", "rlnTomoParticleName", 3, "0001/2"),
        P,
        "column rlnTomoParticleName",
        "1 particle name occurs more than once: 0001/2 (rows 2, 4)",
    ),
    "missing columns": (
        drop(P, "particles", "rlnTomoName", "rlnCenteredCoordinateYAngst"),
        P,
        "table data_particles",
        "misses the columns rlnTomoName, rlnCenteredCoordinateYAngst",
    ),
    "missing tilt columns": (
        drop(S, "0001", "rlnDefocusU", "rlnMicrographPreExposure", "rlnTomoZRot"),
        S,
        "table data_0001",
        "misses the columns rlnMicrographPreExposure, rlnTomoZRot, rlnDefocusU",
    ),
    "missing global columns": (drop(T, "global", "rlnTomoHand"), T, "table data_global", "misses the column rlnTomoHand"),
    "no optics groups": (no_rows(P, "optics"), P, "table data_optics", "has no optics groups"),
    "missing optics columns": (drop(P, "optics", "rlnVoltage"), P, "table data_optics", "misses the column rlnVoltage"),
    "NaN position": (
        set_cell(P, "particles", "rlnCenteredCoordinateXAngst", 2, "nan"),
        P,
        "row 3, column rlnCenteredCoordinateXAngst",
        "'nan' is not a number",
    ),
    "decimal comma": (set_cell(S, "0001", "rlnDefocusU", 0, "20000,5"), S, "row 1, column rlnDefocusU", "'20000,5' is not a number"),
    "text as angle": (set_cell(P, "particles", "rlnAngleRot", 4, "north"), P, "row 5, column rlnAngleRot", "'north' is not a number"),
    "half-set 3": (set_cell(P, "particles", "rlnRandomSubset", 0, "3"), P, "row 1, column rlnRandomSubset", "3 is no half-set"),
    "unknown optics group": (
        set_cell(P, "particles", "rlnOpticsGroup", 0, "7"),
        P,
        "column rlnOpticsGroup",
        "names optics groups that data_optics does not have: 7",
    ),
    "no particles table": (lambda p: write_star(p / P, [Table("x")]), P, "", "has no table data_particles"),
    "no global table": (lambda p: write_star(p / T, [Table("x")]), T, "", "has no table data_global"),
    "tilt table of another name": (
        lambda p: shutil.copy(p / "tilt_series/TS_two.a.star", p / S),
        S,
        "",
        "has no table data_0001 for the tomogram 0001",
    ),
    "tilt file missing": (lambda p: (p / S).unlink(), S, "", "is not there"),
    "particles missing": (lambda p: (p / P).unlink(), P, "", "is not there"),
    "motion missing": (lambda p: (p / "motion.star").unlink(), "motion.star", "", "the trajectories are not there"),
    "motion of others": (
        lambda p: change(p / "motion.star", "0001/1", lambda c: [c.update({k: v[:2]}) for k, v in list(c.items())]),
        "motion.star",
        "table data_0001/1",
        "has 2 rows for 3 tilts",
    ),
    "hand": (set_cell(T, "global", "rlnTomoHand", 1, "0"), T, "row 2, column rlnTomoHand", "is not -1 or 1"),
    "pixel size": (set_cell(T, "global", "rlnTomoTiltSeriesPixelSize", 1, "0"), T, "row 2", "is not a positive size"),
    "frame count": (
        lambda p: change(p / T, "global", lambda c: c.update(rlnTomoFrameCount=np.array(["4", "3"]))),
        S,
        "table data_0001",
        "has 3 tilts, but rlnTomoFrameCount of {root}/tomograms.star says 4",
    ),
}


def told(project: Path, problems: tuple[Problem, ...], file: str, where: str, what: str) -> bool:
    """Whether one of the problems names the file and the place, says what is wrong and what to do."""
    what = what.format(root=project.resolve())
    return any(
        Path(str(p.file)).resolve() == (project / file).resolve() and where in p.where and what in p.what and bool(p.remedy)
        for p in problems
    )


def found(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        read_dataset(path)
    return caught.value.problems


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_once_with_its_place_and_remedy(project: Path, name: str) -> None:
    spoil, file, where, what = FAULTS[name]
    spoil(project)
    problems = found(project)
    assert told(project, problems, file, where, what), "\n".join(map(str, problems))
    assert len({str(problem) for problem in problems}) == len(problems)


ALONE = sorted(set(FAULTS) - {"optics pixel size", "optics voltage", "sizes differ", "missing stack"})


@pytest.mark.parametrize("name", ALONE)
def test_one_fault_is_one_problem(project: Path, name: str) -> None:
    """No fault drags others behind it that would hide the cause."""
    FAULTS[name][0](project)
    assert len(found(project)) == 1


def test_all_faults_are_told_at_once(project: Path) -> None:
    together = ["truncated stack", "duplicated names", "unknown tomogram", "decimal comma", "NaN position"]
    for name in together:
        FAULTS[name][0](project)
    problems = "\n".join(map(str, found(project)))
    told_of = ["is truncated", "more than once: 0001/2 (rows 2, 4)", "have: 'TS_3' (row 4)", "'20000,5' is not", "'nan' is not a number"]
    assert [what for what in told_of if what not in problems] == []


def test_optional_images_may_be_absent(project: Path) -> None:
    (project / "0001.mrcs").unlink()
    assert read_dataset(project, require_images=False).tilt_series[0].images is None


@pytest.fixture
def extracted(project: Path) -> Path:
    """The project with 2D stacks of its particles."""
    before = read_dataset(project)
    names = [f"Subtomograms/{name}_stack2d.mrcs" for name in before.particles.name]
    for name in names:
        stack(name, (2, 4, 4), 5.0)(project)
    images = ExtractedImages("stacks", 4, 2.0, names, visible=[np.array([True, False, True])] * 5)
    write_dataset(project, before, extracted=images)
    return project


STORED = "Subtomograms/0001/2_stack2d.mrcs"
STORED_FAULTS = {
    "missing": (lambda p: (p / STORED).unlink(), P, "column rlnImageName", f"1 of 5 files are not there: {STORED} (row 2)"),
    "truncated": (truncate(STORED), STORED, "header", "is truncated"),
    "depth": (stack(STORED, (1, 4, 4), 5.0), STORED, "header", "holds 1 images for 2 visible of 3 tilts"),
    "box": (stack(STORED, (2, 6, 6), 5.0), STORED, "header", "images are 6 x 6 pixels, but rlnImageSize of {root}/particles.star is 4"),
    "pixel size": (stack(STORED, (2, 4, 4), 5.1), STORED, "header", "the pixel size 5.1000 Å contradicts 5.0000 Å of rlnImagePixelSize"),
    "visible": (
        set_cell(P, "particles", "rlnTomoVisibleFrames", 1, "[1,1]"),
        P,
        "row 2, column rlnTomoVisibleFrames",
        "has 2 entries for 3 tilts of 0001",
    ),
    "no visible": (drop(P, "particles", "rlnTomoVisibleFrames"), P, "table data_particles", "misses the column rlnTomoVisibleFrames"),
    "no box": (drop(P, "optics", "rlnImageSize"), P, "table data_optics", "misses the column rlnImageSize, which stored images need"),
    "binning": (
        set_cell(P, "optics", "rlnTomoSubtomogramBinning", 0, "3.0"),
        P,
        "row 1, column rlnImagePixelSize",
        "5.0000 Å is not rlnTomoTiltSeriesPixelSize x rlnTomoSubtomogramBinning = 7.5000 Å",
    ),
    "two boxes": (set_cell(P, "optics", "rlnImageSize", 0, "6"), P, "table data_optics", "optics groups have different stored images"),
}


@pytest.mark.parametrize("name", STORED_FAULTS)
def test_faults_of_stored_images(extracted: Path, name: str) -> None:
    spoil, file, where, what = STORED_FAULTS[name]
    assert read_dataset(extracted).particles.stacks is not None
    spoil(extracted)
    problems = found(extracted)
    assert told(extracted, problems, file, where, what), "\n".join(map(str, problems))


def test_a_message_reads_as_one_sentence_after_another(project: Path) -> None:
    FAULTS["duplicated names"][0](project)
    (problem,) = found(project)
    assert str(problem) == (
        f"{problem.file}, table data_particles, column rlnTomoParticleName: 1 particle name occurs more than once: 0001/2 (rows 2, 4). "
        "Images and half-sets would be mixed up. Give every particle its own name, or remove the column so that names are made."
    )


def test_sets_without_members(project: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_dataset()
    assert [problem.what for problem in caught.value.problems] == ["no particles are given", "no tomograms are given"]
    with pytest.raises(BadInput, match="is not an optimisation set"):
        read_optimisation_set(project / "tomograms.star")


def test_relion4_matrices_must_be_rotations(project: Path, dataset: Dataset) -> None:
    def edit(columns: dict[str, np.ndarray]) -> None:
        for i, axis in enumerate("XYZW"):
            row = np.eye(4)[i] * (1.02 if axis == "X" else 1)
            columns[f"rlnTomoProj{axis}"] = np.array(["[" + ",".join(map(str, row)) + "]"] * 3)

    change(project / S, "0001", edit)
    problems = found(project)
    assert [problem.where for problem in problems] == [f"table data_0001, row {row}, columns rlnTomoProjX to Z" for row in (1, 2, 3)]
    assert "not a pure rotation" in problems[0].what


def test_a_dataset_that_cannot_be_written_names_the_optics_group(project: Path, dataset: Dataset) -> None:
    lost = replace(dataset, tilt_series=tuple(replace(series, optics_name="none") for series in dataset.tilt_series))
    with pytest.raises(ValueError, match="names the optics group none"):
        write_dataset(project / "x", lost)
