"""Verbs that choose among particles: what they keep, what they write verbatim, what they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.formats.star import read_star


@pytest.fixture
def marked(tiny) -> Path:
    """The tiny set with columns of its own, a class, half-sets and motion."""
    dataset = read_dataset(tiny)
    n = len(dataset.particles)
    columns = {**dataset.particles.columns, "otherText": np.array([f"x{i} y" for i in range(n)])}
    particles = replace(dataset.particles, columns=columns, class_number=1 + np.arange(n) % 3, half=1 + np.arange(n) % 2)
    motion = tuple(np.full((series.n_tilts, 3), float(row)) for row, series in enumerate(_series_of(dataset)))
    dataset = replace(dataset, particles=particles, motion_angstrom=motion)
    return write_dataset("marked", dataset, extra={"rlnMaxValueProbDistribution": np.linspace(0, 1, n), "rlnScore": np.arange(n)[::-1]})


def _series_of(dataset):
    return [dataset.tilt_series[index] for index in dataset.particles.tilt_series]


def cells(folder):
    return read_star(Path(folder) / "particles.star")["particles"].columns


def test_selected_rows_are_verbatim_and_go_on_to_the_next_job(marked, capsys):
    out = tb.select(tb.Select(i=marked, classes=(1, 3), where=("rlnMaxValueProbDistribution>0.3", "otherText~x* y")))
    assert out == Path("Select/job001")
    before, after = cells("marked"), cells(out)
    rows = np.flatnonzero((np.arange(16) % 3 != 1) & (np.linspace(0, 1, 16) > 0.3))
    assert list(after) == list(before)
    for label in before:
        assert after[label].tolist() == before[label][rows].tolist(), label
    again = read_dataset(out)
    assert [motion[0, 0] for motion in again.motion_angstrom] == rows.tolist()
    assert f"{len(rows)} of 16" in capsys.readouterr().err + (out / "run.log").read_text()
    assert main(["info", "--i", str(out)]) == 0


def test_tilt_series_and_inversion(marked):
    tb.select(tb.Select(i=marked, tilt_series=("TS_*2",), o="second"))
    tb.select(tb.Select(i=marked, tilt_series=("TS_*2",), invert=True, o="first"))
    assert set(cells("second")["rlnTomoName"]) == {"TS_02"}
    assert set(cells("first")["rlnTomoName"]) == {"TS_01"}


def test_polygons_choose_what_lies_inside_all_of_them(marked, capsys):
    """Two polygons with as many corners over the same columns, and the particles outside them."""
    score, best = np.arange(16)[::-1], np.linspace(0, 1, 16)
    plane = "rlnScore,rlnMaxValueProbDistribution:"
    wide, high = f"{plane} -1,-1 10.5,-1 10.5,2 -1,2", f"{plane} -1,.5 99,.5 99,2 -1,2"
    rows = np.flatnonzero((score < 10.5) & (best > 0.5))
    tb.select(tb.Select(i=marked, within=(wide, high), o="inside"))
    assert cells("inside")["rlnScore"].astype(int).tolist() == score[rows].tolist()
    assert main(["select", "--i", str(marked), "--within", wide, high, "--invert", "--o", "outside"]) == 0
    assert cells("outside")["rlnScore"].astype(int).tolist() == np.delete(score, rows).tolist()
    assert "polygon of 4 corners: 11 of 16 particles" in capsys.readouterr().err + Path("inside/run.log").read_text()
    assert main(["select", "--i", str(marked), "--within", "rlnNothing,rlnScore: 0,0 1,0 1,1"]) == 2
    assert "--within: there is no column rlnNothing" in capsys.readouterr().err
    assert main(["select", "--i", str(marked), "--within", "rlnScore: 0,0 1,0 1,1"]) == 2


def test_an_empty_selection_says_which_condition_removed_how_many(marked, capsys):
    assert main(["select", "--i", str(marked), "--classes", "2", "--where", "rlnMaxValueProbDistribution>0.5", "rlnClassNumber!=2"]) == 2
    error = capsys.readouterr().err
    assert "'class 2' removed 11 (alone 11)" in error
    assert "'rlnClassNumber != 2' removed" in error
    assert not Path("Select").exists()


def test_conditions_that_make_no_sense_are_refused_together(marked, capsys):
    assert main(["select", "--i", str(marked), "--where", "rlnNothing>1", "otherText<2"]) == 2
    error = capsys.readouterr().err
    assert "no column rlnNothing" in error
    assert "otherText are not numbers" in error
    assert main(["select", "--i", str(marked)]) == 2
    assert main(["select", "--i", str(marked), "--where", "nonsense"]) == 2


def doubled(marked, by=3.0):
    """Every particle twice, the second a little off and after all the first."""
    dataset = read_dataset(marked)
    particles = dataset.particles
    rows = np.concatenate([np.arange(16), np.arange(16)])
    from tomobayes.particles.rows import with_rows

    twice = with_rows(dataset, rows)
    names = np.array([f"{name}_{i}" for i, name in enumerate(twice.particles.name)])
    shifted = twice.particles.origin_angstrom + np.array([by, 0, 0]) * (np.arange(32) >= 16)[:, None]
    half = np.concatenate([particles.half, 3 - particles.half])
    twice = twice.with_particles(replace(twice.particles, name=names, origin_angstrom=shifted, half=half))
    return write_dataset("doubled", twice, extra={"rlnScore": np.arange(32)})


def test_dedupe_keeps_the_best(marked):
    both = doubled(marked)
    tb.dedupe(tb.Dedupe(i=both, distance=10, by="rlnScore", o="best"))
    assert cells("best")["rlnScore"].astype(float).tolist() == list(range(16, 32))
    tb.dedupe(tb.Dedupe(i=both, distance=10, by="rlnScore", lowest=True, o="worst"))
    assert cells("worst")["rlnScore"].astype(float).tolist() == list(range(16))
    tb.dedupe(tb.Dedupe(i=both, distance=2, o="all"))
    assert len(cells("all")["rlnScore"]) == 32
    report = json.loads(Path("best/report.json").read_text())
    assert "16 of 32" in json.dumps(report)
    assert "half" in json.dumps(report["findings"])


def test_dedupe_refuses_columns_it_cannot_compare(marked, capsys):
    assert main(["dedupe", "--i", str(marked), "--distance", "5", "--by", "rlnNothing"]) == 2
    assert main(["dedupe", "--i", str(marked), "--distance", "5", "--by", "otherText"]) == 2
    error = capsys.readouterr().err
    assert "no column rlnNothing" in error
    assert "does not hold numbers" in error


def test_split_halves_puts_duplicates_together(marked):
    both = doubled(marked)
    out = tb.split_halves(tb.SplitHalves(i=both, particle_diameter=200))
    half = cells(out)["rlnRandomSubset"].astype(int)
    assert np.array_equal(half[:16], half[16:])
    assert set(half) == {1, 2}
    assert "Duplicates (closer than 20 Å) in different halves: 0" in (out / "run.log").read_text()
    untouched = set(cells("doubled")) - {"rlnRandomSubset"}
    assert all(cells("doubled")[label].tolist() == cells(out)[label].tolist() for label in untouched)


@pytest.fixture
def sheet(tiny) -> Path:
    """A square sheet of 144 particles in the first tiny tilt series, with 20 strangers at its end."""
    from scipy.spatial.transform import Rotation

    from tomobayes.particles.rows import with_rows

    dataset = with_rows(read_dataset(tiny), np.zeros(164, dtype=int))
    random = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.arange(12), np.arange(12)), -1).reshape(-1, 2) * 60.0
    centres = np.append(places, np.zeros((144, 1)), 1) + random.normal(0, 1, (144, 3))
    centres = np.concatenate([centres, random.uniform(0, 660, (20, 3)) * [1, 1, 0.1]])
    rotation = np.concatenate([np.tile(np.eye(3), (144, 1, 1)), Rotation.random(20, random_state=1).as_matrix()])
    particles = replace(
        dataset.particles,
        name=np.array([f"p{i}" for i in range(164)]),
        position_angstrom=centres,
        rotation_particle=rotation,
        rotation_subtomogram=np.tile(np.eye(3), (164, 1, 1)),
        origin_angstrom=np.zeros((164, 3)),
        columns={},
    )
    return write_dataset("sheet", dataset.with_particles(particles))


@pytest.mark.parametrize("extra", [{}, {"distance": 60.0}, {"distance": 60.0, "angle": 15.0}])
def test_clean_lattice_keeps_the_sheet(sheet, extra):
    out = tb.clean_lattice(tb.CleanLattice(i=sheet, **extra))
    kept = {int(name[1:]) for name in cells(out)["rlnTomoParticleName"]}
    assert len(kept & set(range(144))) == 144
    assert len(kept - set(range(144))) <= 1
    assert cells(out)["tomobayesLatticeSupport"].astype(float).min() >= 1
    assert (out / "report/neighbours_xy.png").exists()


def test_clean_lattice_refuses_what_is_no_lattice(marked, capsys):
    assert main(["clean-lattice", "--i", str(marked)]) == 2
    assert "no lattice" in capsys.readouterr().err
    assert main(["clean-lattice", "--i", str(marked), "--angle", "10"]) == 2
    assert main(["clean-lattice", "--i", str(marked), "--sym", "C0"]) == 2
    assert not Path("Select").exists()


def test_expanded_particles_are_what_the_next_job_reads(marked, capsys):
    out = tb.expand_symmetry(tb.ExpandSymmetry(i=marked, sym="D2"))
    before, after = read_dataset(marked), read_dataset(out)
    assert len(after.particles) == 64
    assert np.array_equal(after.particles.half, np.repeat(before.particles.half, 4))
    assert [motion[0, 0] for motion in after.motion_angstrom] == np.repeat(np.arange(16), 4).tolist()
    np.testing.assert_allclose(after.particles.rotation[1::4], before.particles.rotation @ np.diag([-1, -1, 1]), atol=1e-6)
    assert main(["expand-symmetry", "--i", str(out), "--sym", "D2"]) == 2
    assert "have mates already" in capsys.readouterr().err


@pytest.mark.parametrize("symbol", ["C1", "X7"])
def test_nothing_to_expand_is_refused(marked, symbol, capsys):
    assert main(["expand-symmetry", "--i", str(marked), "--sym", symbol]) == 2
    assert "--sym" in capsys.readouterr().err
    assert not Path("External").exists()


def test_parts_join_to_the_whole(marked):
    tb.select(tb.Select(i=marked, tilt_series=("TS_01",), o="first"))
    tb.select(tb.Select(i=marked, tilt_series=("TS_02",), o="second"))
    out = tb.join(tb.Join(i=("first", "second")))
    assert out == Path("JoinStar/job001")
    whole, again = cells("marked"), cells(out)
    assert {label: column.tolist() for label, column in again.items()} == {label: column.tolist() for label, column in whole.items()}
    assert not (out / "tomograms.star").exists()
    assert read_dataset(out).motion_angstrom[9][0, 0] == 9


def test_sets_of_different_tomogram_files_share_one(marked, tiny, capsys):
    dataset = read_dataset(marked)
    renamed = replace(
        dataset,
        tilt_series=tuple(
            replace(series, name=f"new_{series.name}", columns={k: v for k, v in series.columns.items()}) for series in dataset.tilt_series
        ),
        particles=replace(dataset.particles, name=np.array([f"new_{name}" for name in dataset.particles.name])),
    )
    write_dataset("other", renamed)
    assert main(["join", "--i", "marked", "other", "--o", "both"]) == 0
    both = read_dataset("both")
    assert [series.name for series in both.tilt_series] == ["TS_01", "TS_02", "new_TS_01", "new_TS_02"]
    assert len(both.particles) == 32
    np.testing.assert_array_equal(both.tilt_series[3].images.read(2), dataset.tilt_series[1].images.read(2))
    assert main(["join", "--i", "marked", "marked"]) == 2
    assert main(["join", "--i", "marked"]) == 2
    assert main(["join", "--i", "marked", "marked/optimisation_set.star"]) == 2
    error = capsys.readouterr().err
    assert "given twice" in error
    assert "16 particle names occur in more than one set" in error
