"""``cycle`` on tilt series with wrong parameters: how far the map comes, step by step, beside true parameters and beside RELION."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from commands import fsc_curve, tomobayes
from hiv_scene import MAX_DOSE, central_spheres, first_series, noise_spectrum, real_dataset, some_of, write_hexamer
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.model import Dataset, TiltSeries
from tomobayes.simulation.errors import tilt_degrees

RIBOSOME = {"box": 96, "diameter": 290, "radius_px": 36, "pixel": 4.0}


def resolution(curve: np.ndarray, box_angstrom: float, threshold: float = 0.143) -> float:
    """Å where the curve first falls below a threshold, between the shells."""
    low = int(np.flatnonzero(curve[1:] < threshold)[0]) + 1
    above, below = curve[low - 1], curve[low]
    return float(box_angstrom / (low - 1 + (above - threshold) / (above - below)))


def _true(given: TiltSeries, truth: Path) -> TiltSeries:
    """A series as it was simulated, by the simulator's own account."""
    known = np.load(truth)
    turn = Rotation.from_matrix(given.rotation).as_euler("ZYX", degrees=True)
    turn[:, 1] = known["tilt"]
    error = known["defocus"] - (given.defocus_u_angstrom + given.defocus_v_angstrom) / 2
    found = replace(
        given,
        rotation=Rotation.from_euler("ZYX", turn, degrees=True).as_matrix(),
        shift_angstrom=known["shifts"],
        defocus_u_angstrom=given.defocus_u_angstrom + error,
        defocus_v_angstrom=given.defocus_v_angstrom + error,
    )
    np.testing.assert_allclose(tilt_degrees(found.rotation), known["tilt"], atol=1e-6)
    return found


def with_true_parameters(folder: Path) -> Dataset:
    """All that is known of an experiment of shared/data/simulated, with the half-sets of the particles given."""
    given = read_dataset(folder)
    true = read_dataset(folder, folder / "particles_truth.star").particles
    motion = [np.empty(0)] * len(true)
    for index, series in enumerate(given.tilt_series):
        tracks = np.load(folder / f"{series.name}_truth.npz")["motion"]
        for row, track in zip(np.flatnonzero(true.tilt_series == index), tracks, strict=True):
            motion[row] = track
    series = tuple(_true(one, folder / f"{one.name}_truth.npz") for one in given.tilt_series)
    return replace(given, tilt_series=series, particles=replace(true, half=given.particles.half), motion_angstrom=tuple(motion))


def _half_maps(experiment: Path, out: Path, box: int, *options: object) -> Path:
    tomobayes("reconstruct", "--i", experiment, "--box", box, *options, "--o", out)
    return out


def _rungs(cycle: Path) -> list[list[str]]:
    """Rows of the ladder in the cycle's report: step, resolution, shells resolved, changes, built on."""
    report = json.loads((cycle / "report.json").read_text())
    (table,) = (item for section in report["sections"] for item in section["items"] if "columns" in item)
    return list(table["rows"])


def test_ribosomes_with_every_parameter_wrong(shared, tmp_path, claims):
    """Shifts, tilts, defoci wrong and motion unknown, poses right: as RELION had them for its align."""
    folder = shared / "data/simulated/ribosome_errors"
    write_dataset(tmp_path / "true", with_true_parameters(folder))
    common = ("--particle-diameter", RIBOSOME["diameter"])
    cycle = tmp_path / "cycle"
    mask = ("--mask", folder / "mask.mrc")
    tomobayes("cycle", "--i", folder, "--box", RIBOSOME["box"], *common, *mask, "--steps", "align", "refine-ctf", "--o", cycle)
    halves = {
        "figure": cycle,
        "oracle": _half_maps(tmp_path / "true", tmp_path / "oracle", RIBOSOME["box"], *common),
        "null": cycle / "start_map",
        "relion": folder / "relion/after_align",
    }
    curves = {key: fsc_curve(shared, one / "half1.mrc", one / "half2.mrc", RIBOSOME["radius_px"]) for key, one in halves.items()}
    edge = RIBOSOME["box"] * RIBOSOME["pixel"]
    found = {key: resolution(curve, edge) for key, curve in curves.items()}
    print(f"RELION after its align: {found['relion']:.2f} Å")
    claims.measured(
        "resolution (FSC 0.143), Å; at most 10 % from that of true parameters",
        found["figure"],
        at_most=1.1 * found["oracle"],
        oracle=found["oracle"],
        null=found["null"],
    )
    claims.measured(
        "the same over RELION's after align", found["figure"] / found["relion"], at_most=1, oracle=found["oracle"] / found["relion"]
    )
    means = {key: float(curve[1:].mean()) for key, curve in curves.items()}
    claims.measured("mean FSC of the half-maps", means["figure"], at_least=means["relion"], oracle=means["oracle"], null=means["null"])
    for row in _rungs(cycle):
        claims.measured(f"{row[0]}: shells resolved", float(row[2]))


@pytest.mark.long
def test_ladder_of_hexamers(shared, tmp_path, claims):
    """CA-SP1 on the real geometry, defoci and doses of TS_01: 235 particles around one virus-like particle among all 1,829.

    Planted: shifts 3 Å, tilts 0.1°, defoci 300 Å, motion 0.3 Å per tilt, poses 1.5° and 1.5 Å (each rms per axis).
    """
    real = real_dataset(shared)
    everywhere = np.flatnonzero(real.particles.tilt_series == 0)
    model = write_hexamer(shared, tmp_path / "hexamer.mrc", 64)
    np.savetxt(tmp_path / "noise.txt", noise_spectrum(shared, real))
    write_dataset(tmp_path / "real", first_series(real, everywhere), what=("particles", "tomograms"))
    scene = ("--i", tmp_path / "real", "--noise", tmp_path / "noise.txt", "--model", model, "--angpix", 4.05, "--snr", 0.02)
    errors = ("--shift-error", 3, "--tilt-error", 0.1, "--defocus-error", 300, "--motion", 0.3)
    tomobayes("simulate", *scene, *errors, "--pose-error", 1.5, "--position-error", 1.5, "--o", tmp_path / "sim")
    chosen = np.searchsorted(everywhere, central_spheres(shared, real, 1))
    for name, source in (("given", tmp_path / "sim"), ("true", tmp_path / "sim/truth")):
        dataset = read_dataset(source)
        motion = None if dataset.motion_angstrom is None else tuple(dataset.motion_angstrom[row] for row in chosen)
        write_dataset(tmp_path / name, replace(dataset, particles=some_of(dataset.particles, chosen), motion_angstrom=motion))
    common = ("--max-dose", MAX_DOSE, "--sym", "C6", "--particle-diameter", 230)
    cycle = tmp_path / "cycle"
    tomobayes(
        "cycle", "--i", tmp_path / "given", "--box", 64, *common, "--sigma-ang", 1.5, "--offset-range", 6, "--rounds", 2, "--o", cycle
    )
    oracle = _half_maps(tmp_path / "true", tmp_path / "oracle", 64, *common)
    rungs = _rungs(cycle)
    for row in rungs:
        print("  ".join(str(cell) for cell in row))
        claims.measured(f"{row[0]}: shells resolved", float(row[2]))
    halves = {"figure": cycle, "oracle": oracle, "null": cycle / "start_map"}
    curves = {name: fsc_curve(shared, folder / "half1.mrc", folder / "half2.mrc", 20) for name, folder in halves.items()}
    found = {name: resolution(curve, 64 * 4.05, 0.5) for name, curve in curves.items()}  # at 0.143 the end of the box is resolved
    claims.measured("resolution (FSC 0.5), Å", found["figure"], at_most=1.1 * found["oracle"], oracle=found["oracle"], null=found["null"])
    means = {name: float(curve[1:].mean()) for name, curve in curves.items()}
    claims.measured("mean FSC of the half-maps", means["figure"], oracle=means["oracle"], null=means["null"])
