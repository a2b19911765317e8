"""``sample-surface`` from picked points to an optimisation set that other jobs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tomobayes as tb
from tomobayes.cli import main
from tomobayes.formats.relion import read_dataset
from tomobayes.particles.surfaces import directions


@pytest.fixture
def tomogram(tiny):
    """The first tiny tilt series, and where its centre is in its own voxels."""
    series = read_dataset(tiny).tilt_series[0]
    return series, np.array(series.tomogram_size) / 2 - 1


def table(name, rows):
    Path(name).write_text("\n".join(f"TS_01 {' '.join(f'{value:.6f}' for value in row)}" for row in rows) + "\n")
    return Path(name)


def test_a_sphere_in_voxels_becomes_particles_around_it(tiny, tomogram):
    series, middle = tomogram
    pixel = series.pixel_size_angstrom
    picks = table("spheres.txt", [[*(middle + np.array([3, -4, 1])), 8]])
    out = tb.sample_surface(tb.SampleSurface(picks=(picks,), i=tiny, shape="sphere", spacing=40, offset=10, coordinate_angpix=pixel))
    assert out == Path("Picks/job001")
    particles = read_dataset(out).particles
    away = particles.centre_angstrom - np.array([3, -4, 1]) * pixel
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 8 * pixel + 10, atol=1e-3)
    np.testing.assert_allclose(particles.rotation[:, :, 2], away / np.linalg.norm(away, axis=1, keepdims=True), atol=1e-5)
    assert len(particles) == round(4 * np.pi * (8 * pixel) ** 2 / 1600)
    assert set(particles.tilt_prior_degrees) == {90.0} and set(particles.psi_prior_degrees) == {0.0}
    assert len(set(particles.name.tolist())) == len(particles)
    assert main(["info", "--i", str(out)]) == 0


def test_inward_and_objects(tiny, tomogram):
    series, middle = tomogram
    pixel = series.pixel_size_angstrom
    points = [[*(middle + x + 6 * unit), number] for number, x in ((1, [-12, 0, 0]), (5, [12, 0, 0])) for unit in directions(20)]
    picks = table("points.txt", points)
    tb.sample_surface(
        tb.SampleSurface(picks=(picks,), i=tiny, shape="ellipsoid", spacing=40, inward=True, o="eggs", coordinate_angpix=pixel)
    )
    particles = read_dataset("eggs").particles
    number = particles.columns["rlnTomoManifoldIndex"].astype(int)
    assert set(number) == {1, 2}
    for which, x in ((1, -12), (2, 12)):
        away = particles.centre_angstrom[number == which] - np.array([x, 0, 0]) * pixel
        np.testing.assert_allclose(np.linalg.norm(away, axis=1), 6 * pixel, rtol=1e-3)
        assert (particles.rotation[number == which][:, :, 2] * away).sum(1).max() < 0


def test_tubes_and_free_surfaces(tiny, tomogram):
    series, middle = tomogram
    pixel = series.pixel_size_angstrom
    line = table("line.txt", [middle + np.array([x, 0, 0]) for x in (-20, -5, 8, 20)])
    tb.sample_surface(tb.SampleSurface(picks=(line,), i=tiny, shape="tube", radius=64, spacing=40, o="tube", coordinate_angpix=pixel))
    centre = read_dataset("tube").particles.centre_angstrom
    np.testing.assert_allclose(np.hypot(centre[:, 1], centre[:, 2]), 64, atol=1e-3)
    assert np.abs(centre[:, 0]).max() <= 20 * pixel
    random = np.random.default_rng(0)
    sheet = table("sheet.txt", [middle + np.array([x, y, 2]) for x, y in random.uniform(-20, 20, (80, 2))])
    options = ["--picks", str(sheet), "--i", str(tiny), "--shape", "surface", "--spacing", "40", "--coordinate-angpix", str(pixel)]
    assert main(["sample-surface", *options, "--o", "up"]) == 0
    below = [f"{value:.3f}" for value in middle + np.array([0, 0, 40])]
    assert main(["sample-surface", *options, "--o", "down", "--centre", *below]) == 0
    up, down = (read_dataset(name).particles for name in ("up", "down"))
    np.testing.assert_allclose(up.centre_angstrom[:, 2], 2 * pixel, atol=1e-3)
    np.testing.assert_allclose(up.rotation[:, 2, 2], 1, atol=1e-5)
    np.testing.assert_allclose(down.rotation[:, 2, 2], -1, atol=1e-5)


def test_several_files_are_one_set(tiny, tomogram):
    series, middle = tomogram
    files = [table(f"{name}.txt", [[*(middle + np.array([x, 0, 0])), 5]]) for name, x in (("a", -10), ("b", 10))]
    options = ["--i", str(tiny), "--shape", "sphere", "--spacing", "40", "--coordinate-angpix", str(series.pixel_size_angstrom)]
    assert main(["sample-surface", "--picks", *map(str, files), *options, "--o", "both"]) == 0
    particles = read_dataset("both").particles
    assert particles.columns["rlnTomoManifoldIndex"].tolist() == ["1"] * (len(particles) // 2) + ["2"] * (len(particles) // 2)
    assert len(set(particles.name.tolist())) == len(particles)


def test_what_lies_outside_the_tomogram_is_left_out(tiny, tomogram):
    series, middle = tomogram
    picks = table("sphere.txt", [[*(middle * np.array([2, 1, 1])), 8]])
    options = ["--i", str(tiny), "--shape", "sphere", "--spacing", "40", "--coordinate-angpix", str(series.pixel_size_angstrom)]
    assert main(["sample-surface", "--picks", str(picks), *options, "--o", "half"]) == 0
    particles = read_dataset("half").particles
    assert 0.3 < len(particles) / (4 * np.pi * (8 * series.pixel_size_angstrom / 40) ** 2) < 0.6
    assert particles.centre_angstrom[:, 0].max() <= series.tomogram_size[0] / 2 * series.pixel_size_angstrom
    far = table("far.txt", [[*(middle * 9), 8]])
    assert main(["sample-surface", "--picks", str(far), *options]) == 2


def test_faults_are_said_together(tiny, tomogram, capsys):
    picks = table("points.txt", [[*(tomogram[1] + np.array([x, 0, 0])), number] for number in (1, 2) for x in range(4)])
    options = ["--picks", str(picks), "--i", str(tiny), "--spacing", "40"]
    assert main(["sample-surface", *options, "--shape", "ellipsoid"]) == 2
    error = capsys.readouterr().err
    assert "object 1" in error or "object 1.000000" in error
    assert error.count("do not determine an ellipsoid") == 2
    Path("other.txt").write_text("TS_99 1 2 3 4\n")
    assert main(["sample-surface", "--picks", "other.txt", "--i", str(tiny), "--spacing", "40", "--shape", "sphere"]) == 2
    assert main(["sample-surface", *options, "--shape", "tube"]) == 2
    assert main(["sample-surface", *options, "--shape", "sphere", "--radius", "5"]) == 2
    assert main(["sample-surface", *options, "--shape", "sphere", "--centre", "5", "5", "5"]) == 2
    error = capsys.readouterr().err
    assert "TS_99" in error and "need a --radius" in error and "--centre is for" in error
    assert not Path("Picks").exists()
