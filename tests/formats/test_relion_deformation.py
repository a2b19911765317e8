"""Deformations and magnification go through STAR files as RELION has them there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.formats.star import read_star
from tomobayes.model import BadInput, Dataset, Deformation
from tomobayes.model.deformation import coefficient_count

MAGNIFICATION = ((1.0025, 0.001), (0.0012, 0.9975))


def deformed(dataset: Dataset, *deformations: Deformation | None) -> Dataset:
    series = zip(dataset.tilt_series, deformations, strict=True)
    return replace(dataset, tilt_series=tuple(replace(one, deformation=deformation) for one, deformation in series))


@pytest.mark.parametrize(
    ("kind", "grid", "name"), [("affine", (1, 1), "linear"), ("spline", (3, 2), "spline"), ("fourier", (3, 4), "Fourier")]
)
def test_deformations_go_round(project, dataset, tmp_path, kind, grid, name):
    random, count = np.random.default_rng(1), coefficient_count(kind, grid)
    whole = Deformation(kind, random.normal(size=count) * 1e-3, grid)
    each = Deformation(kind, random.normal(size=(3, count)), grid)
    found = read_dataset(write_dataset(tmp_path / "out", deformed(dataset, whole, each)))
    for mine, theirs in zip((whole, each), (one.deformation for one in found.tilt_series), strict=True):
        assert theirs is not None and (theirs.kind, theirs.grid) == (mine.kind, mine.grid)
        np.testing.assert_allclose(theirs.coefficients, mine.coefficients, rtol=1e-8)
    table = read_star(tmp_path / "out/tomograms.star")["global"].columns
    assert set(table["rlnTomoDeformationType"]) == {name}
    assert table["rlnTomoDeformationGridSizeX"].tolist() == [str(grid[0])] * 2
    again = read_dataset(write_dataset(tmp_path / "again", found))
    for label, cells in found.tilt_series[1].columns.items():
        np.testing.assert_array_equal(again.tilt_series[1].columns[label], cells)


def test_one_deformed_series_makes_all_of_a_file_deformed(project, dataset, tmp_path):
    """RELION asks every tilt series for coefficients once the grid is told."""
    found = read_dataset(write_dataset(tmp_path / "out", deformed(dataset, None, Deformation("affine", np.array([1e-3, 0, 0])))))
    assert found.tilt_series[0].deformation is not None
    np.testing.assert_array_equal(found.tilt_series[0].deformation.coefficients, 0)
    undone = read_dataset(write_dataset(tmp_path / "undone", deformed(found, None, None)))
    assert all(one.deformation is None for one in undone.tilt_series)
    assert not [label for label in undone.tilt_series[0].globals_ if "Deformation" in label]


def test_coefficients_that_do_not_fit_are_named(project, dataset, tmp_path):
    written = write_dataset(tmp_path / "out", deformed(dataset, None, Deformation("spline", np.ones(72), (3, 3))))
    tomograms = tmp_path / "out/tomograms.star"
    tomograms.write_text(tomograms.read_text().replace("spline", "Fourier"))
    with pytest.raises(BadInput, match="has 72 coefficients, but a Fourier deformation on a grid of 3 x 3 has 12"):
        read_dataset(written)
    tomograms.write_text(tomograms.read_text().replace("Fourier", "wavelet"))
    with pytest.raises(BadInput, match=r"'wavelet'.*linear, spline, Fourier"):
        read_dataset(written)


def test_magnification_goes_round_and_is_not_written_where_there_is_none(project, dataset, tmp_path):
    assert "rlnMagMat00" not in read_star(project / "particles.star")["optics"].columns
    optics = (dataset.optics[0], replace(dataset.optics[1], magnification=MAGNIFICATION))
    found = read_dataset(write_dataset(tmp_path / "out", replace(dataset, optics=optics)))
    assert [one.magnification for one in found.optics] == [((1.0, 0.0), (0.0, 1.0)), MAGNIFICATION]
    assert read_star(tmp_path / "out/particles.star")["optics"].columns["rlnMagMat01"].tolist() == ["0.0", "0.001"]
