"""The shared ribosome set: tilt series of an independent simulator, with its truth, read without the project's own readers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tomobayes.model import Dataset, Optics, Particles, TiltSeries

OPTICS = Optics("opticsGroup1", voltage_kv=300, spherical_aberration_mm=2.7, amplitude_contrast=0.07)


@dataclass(frozen=True)
class Independent:
    """One tilt series with true parameters, its images as recorded, and the true map."""

    dataset: Dataset
    images: NDArray[np.generic]
    truth: NDArray[np.float32]


def _rotation(row: dict[str, float]) -> NDArray[np.float64]:
    turn = [
        Rotation.from_euler(axis, row[label], degrees=True)
        for axis, label in (("z", "rlnTomoZRot"), ("y", "rlnTomoYTilt"), ("x", "rlnTomoXTilt"))
    ]
    return (turn[0] * turn[1] * turn[2]).as_matrix()


def _series(folder: Path, row: dict[str, object], image_size: tuple[int, int]) -> TiltSeries:
    tilts = starfile.read(folder / str(row["rlnTomoTiltSeriesStarFile"]))
    column = {label: tilts[label].to_numpy(float, copy=True) for label in tilts if label != "rlnMicrographName"}
    still = np.zeros(len(tilts))
    return TiltSeries(
        name=str(row["rlnTomoName"]),
        pixel_size_angstrom=float(row["rlnTomoTiltSeriesPixelSize"]),
        hand=float(row["rlnTomoHand"]),
        tomogram_size=tuple(int(row[f"rlnTomoSize{axis}"]) for axis in "XYZ"),
        image_size=image_size,
        rotation=np.stack([_rotation(tilt) for tilt in tilts.to_dict("records")]),
        shift_angstrom=np.stack([column["rlnTomoXShiftAngst"], column["rlnTomoYShiftAngst"]], 1),
        dose=column["rlnMicrographPreExposure"],
        defocus_u_angstrom=column["rlnDefocusU"],
        defocus_v_angstrom=column["rlnDefocusV"],
        astigmatism_radians=np.deg2rad(column["rlnDefocusAngle"]),
        phase_shift_radians=still,
        scale=column["rlnCtfScalefactor"],
        b_factor=still,
        optics_name=OPTICS.name,
    )


def _particles(folder: Path, tomogram: str) -> Particles:
    table = starfile.read(folder / "particles_truth.star")["particles"]
    table = table[table["rlnTomoName"] == tomogram]
    n = len(table)
    angles = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy(float)
    return Particles(
        name=np.array([f"{tomogram}/{i + 1}" for i in range(n)]),
        tilt_series=np.zeros(n, dtype=np.int64),
        optics=np.zeros(n, dtype=np.int64),
        position_angstrom=table[[f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]].to_numpy(float, copy=True),
        rotation_subtomogram=np.tile(np.eye(3), (n, 1, 1)),
        rotation_particle=Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix().transpose(0, 2, 1).copy(),
        origin_angstrom=np.zeros((n, 3)),
        half=table["rlnRandomSubset"].to_numpy(np.int64, copy=True),
        class_number=np.ones(n, dtype=np.int64),
        tilt_prior_degrees=np.full(n, np.nan),
        psi_prior_degrees=np.full(n, np.nan),
        rot_prior_degrees=np.full(n, np.nan),
    )


@pytest.fixture(scope="session")
def independent(shared: Path) -> Independent:
    """The first tilt series of data/simulated/ribosome."""
    folder = shared / "data" / "simulated" / "ribosome"
    row = starfile.read(folder / "tomograms.star").to_dict("records")[0]
    images = mrcfile.read(folder / f"{row['rlnTomoName']}.mrcs")
    series = _series(folder, row, images.shape[:0:-1])
    dataset = Dataset((series,), (OPTICS,), _particles(folder, series.name))
    return Independent(dataset, images, mrcfile.read(folder / "truth_class1.mrc"))
