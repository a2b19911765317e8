"""A project of a thousand tilt series and two million particles: tables alone, written as quickly as they can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np

N_TILTS = 41
SIZE = (4000, 4000, 1200)
PIXEL = 1.35


def write_large_project(folder: Path, n_series: int, per_series: int) -> Path:
    """An optimisation set with its tables in RELION-5's layout; its file."""
    (folder / "tilt_series").mkdir(parents=True)
    names = [f"TS_{index + 1:04d}" for index in range(n_series)]
    for name in names:
        (folder / "tilt_series" / f"{name}.star").write_text(_tilts(name))
    (folder / "tomograms.star").write_text(_tomograms(names))
    _write_particles(folder / "particles.star", names, per_series)
    lines = [f"_rlnTomoParticlesFile {folder}/particles.star", f"_rlnTomoTomogramsFile {folder}/tomograms.star"]
    (folder / "optimisation_set.star").write_text("data_\n\n" + "\n".join(lines) + "\n")
    return folder / "optimisation_set.star"


def _loop(name: str, labels: list[str], rows: list[str]) -> str:
    return "\n".join([f"data_{name}", "", "loop_", *(f"_{label} #{i}" for i, label in enumerate(labels, 1)), *rows, "", ""])


def _tilts(name: str) -> str:
    angle = np.linspace(-60, 60, N_TILTS)
    dose = 3.0 * np.argsort(np.argsort(np.abs(angle) + 1e-3 * angle))
    labels = ["rlnTomoXTilt", "rlnTomoYTilt", "rlnTomoZRot", "rlnTomoXShiftAngst", "rlnTomoYShiftAngst", "rlnMicrographPreExposure"]
    labels += ["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnMicrographName"]
    rows = [f"0.0 {angle[i]:.3f} 85.0 10.5 -3.25 {dose[i]:.2f} 31000.0 30500.0 40.0 {i + 1:06d}@stacks/{name}.mrcs" for i in range(N_TILTS)]
    return _loop(name, labels, rows)


def _tomograms(names: list[str]) -> str:
    labels = [
        "rlnTomoName",
        "rlnTomoTiltSeriesStarFile",
        "rlnTomoTiltSeriesPixelSize",
        "rlnTomoHand",
        "rlnVoltage",
        "rlnSphericalAberration",
    ]
    labels += ["rlnAmplitudeContrast", "rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ", "rlnOpticsGroupName"]
    rows = [f"{name} tilt_series/{name}.star {PIXEL} -1 300.0 2.7 0.1 {SIZE[0]} {SIZE[1]} {SIZE[2]} og1" for name in names]
    return _loop("global", labels, rows)


def _write_particles(path: Path, names: list[str], per_series: int) -> None:
    random = np.random.default_rng(0)
    optics = ["rlnOpticsGroup", "rlnOpticsGroupName", "rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"]
    labels = ["rlnTomoName", "rlnTomoParticleName", *(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")]
    labels += [
        "rlnAngleRot",
        "rlnAngleTilt",
        "rlnAnglePsi",
        *(f"rlnOrigin{axis}Angst" for axis in "XYZ"),
        "rlnRandomSubset",
        "rlnOpticsGroup",
    ]
    with path.open("w") as stream:
        stream.write(_loop("optics", [*optics, "rlnTomoTiltSeriesPixelSize"], [f"1 og1 300.0 2.7 0.1 {PIXEL}"]))
        stream.write(_loop("particles", labels, []).rstrip("\n") + "\n")
        for name in names:
            place = random.uniform(-0.5, 0.5, (per_series, 3)) * np.array(SIZE) * PIXEL
            angles, origin = random.uniform(-180, 180, (per_series, 3)), random.normal(0, 2, (per_series, 3))
            numbers = np.concatenate([place, angles, origin], 1)
            stream.writelines(
                f"{name} {name}/{row + 1} {' '.join(format(value, '.3f') for value in values)} {1 + row % 2} 1\n"
                for row, values in enumerate(numbers.tolist())
            )
