"""A tomogram of copies of the average, projected along the tilts, is what an independent simulator recorded."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np
from scipy import ndimage

from commands import tomobayes
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.model import Map, TiltSeries

BIN, LOWPASS_ANGSTROM, COARSEST_ANGSTROM, FINEST_ANGSTROM = 2, 20, 150.0, 26.0
"""The images' CTF is positive in this band."""
ANGLES = (-42, -21, 0, 21, 42)
HALF_DEPTH = 160


def test_copies_project_to_the_tilt_images(shared, tmp_path, monkeypatch, claims):
    """64 ribosomes at their true poses (simulated/ribosome); nulls: copies of the mirrored map, and copies that are not turned."""
    monkeypatch.chdir(tmp_path)
    source = shared / "data" / "simulated" / "ribosome"
    series = read_dataset(source / "optimisation_set.star", root=source).tilt_series[0]
    true_map = read_map(source / "truth_class1.mrc")
    write_map("mirrored.mrc", Map(np.roll(true_map.data[:, :, ::-1], 1, axis=2).copy(), true_map.pixel_size_angstrom))
    right = agreement(series, map_back(source, source / "truth_class1.mrc", "right"))
    mirrored = agreement(series, map_back(source, Path("mirrored.mrc"), "mirrored"))
    turned = agreement(series, map_back(source, source / "truth_class1.mrc", "turned", "particles_picked.star"))
    claims.measured("correlation of the projected tomogram with the tilt images, 150 to 26 Å", right, at_least=0.3, null=mirrored)
    claims.measured("how many times better it is than with unturned copies", right / turned, at_least=2, null=1.0)
    claims.measured("how many times better it is than with mirrored copies", right / mirrored, at_least=3, null=1.0)


def map_back(source: Path, reference: Path, folder: str, particles: str = "particles_truth.star") -> np.ndarray:
    """The tomogram of the first tilt series, (z, y, x)."""
    places = ("--i", source / "optimisation_set.star", "--p", source / particles, "--tilt-series", "TS_01")
    tomobayes("map-back", *places, "--ref", reference, "--tomogram-bin", BIN, "--lowpass", LOWPASS_ANGSTROM, "--o", folder)
    return np.array(mrcfile.read(f"{folder}/TS_01_mapback.mrc"))


def agreement(series: TiltSeries, tomogram: np.ndarray) -> float:
    """Mean correlation, over some tilts, of a tomogram's projections with the images."""
    angle = np.degrees(np.arcsin(-series.rotation[:, 2, 0]))
    tilts = [int(np.abs(angle - one).argmin()) for one in ANGLES]
    return float(np.mean([_correlation(series, tomogram, tilt) for tilt in tilts]))


def _correlation(series: TiltSeries, tomogram: np.ndarray, tilt: int) -> float:
    width, height = (edge // BIN for edge in series.image_size)
    pixel = BIN * series.pixel_size_angstrom
    rotation = series.rotation[tilt][::-1, ::-1]  # in the order of the array's axes
    shift = series.shift_angstrom[tilt] / pixel
    centre = np.array([HALF_DEPTH, height / 2 + shift[1], width / 2 + shift[0]])
    first = np.array(tomogram.shape) / 2 - rotation.T @ centre
    projected = ndimage.affine_transform(tomogram, rotation.T, first, output_shape=(2 * HALF_DEPTH, height, width), order=1).sum(0)
    image = -series.images.read(tilt).astype(np.float32).reshape(height, BIN, width, BIN).mean((1, 3))
    return float(np.corrcoef(_band(projected, pixel).ravel(), _band(image, pixel).ravel())[0, 1])


def _band(image: np.ndarray, pixel: float) -> np.ndarray:
    """What lies between the coarsest and the finest detail."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(image.shape[0], pixel), np.fft.fftfreq(image.shape[1], pixel), indexing="ij"))
    inside = (frequency > 1 / COARSEST_ANGSTROM) & (frequency < 1 / FINEST_ANGSTROM)
    return np.fft.ifft2(np.fft.fft2(image) * inside).real
