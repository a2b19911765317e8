"""One set of particles in the files of every program, and back: the same poses, the same map.

Our own writers and readers could share a mistake. What stands against that: RELION 5 and 4 by facts of RELION's source and its own results
on these sets (test_reconstruct, tests/formats); Dynamo's and STOPGAP's angles by eulerangles and cryoCAT (numbers in
tests/formats/test_export_formats.py); ArtiaX, ChimeraX and tables are read here by parsers that know nothing of the writers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import starfile
from scipy.spatial.transform import Rotation

from tomobayes.cli import main
from tomobayes.formats.dynamo import read_dynamo, read_dynamo_tomograms
from tomobayes.formats.mrc import read_map
from tomobayes.formats.poses import Poses, centred_position
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.formats.stopgap import read_stopgap
from tomobayes.formats.warp import read_warp
from tomobayes.maps.fsc import fsc
from tomobayes.model import Dataset, Particles

BIN, TOMOGRAM_BIN, BOX = 2.0, 4.0, 48
ARGUMENTS = {
    "relion5": [],
    "relion4": [],
    "warp": [],
    "dynamo": ["--tomogram-bin", "4", "--tomogram-by", "imod"],
    "stopgap": ["--tomogram-bin", "4"],
    "artiax": ["--tomogram-bin", "4"],
    "chimerax": ["--tomogram-bin", "4", "--ref", "ref.mrc"],
    "table": ["--tomogram-bin", "4"],
}


@pytest.fixture(scope="module")
def raw(shared, tmp_path_factory) -> tuple[Path, Dataset]:
    """The true poses of the independent simulator's ribosomes, told with random subtomogram frames and origins."""
    folder = tmp_path_factory.mktemp("dialects")
    simulated = shared / "data" / "simulated" / "ribosome"
    truth = read_dataset(simulated / "optimisation_set.star", particles=simulated / "particles_truth.star")
    random = np.random.default_rng(5)
    frame = Rotation.random(len(truth.particles), random_state=6).as_matrix()
    origin = random.normal(0, 9, (len(truth.particles), 3))
    particles = replace(
        truth.particles,
        position_angstrom=truth.particles.centre_angstrom + np.einsum("pij,pj->pi", frame, origin),
        origin_angstrom=origin,
        rotation_subtomogram=frame,
        rotation_particle=np.swapaxes(frame, 1, 2) @ truth.particles.rotation,
        half=1 + np.arange(len(truth.particles)) % 2,
    )
    dataset = truth.with_particles(particles)
    write_dataset(folder, dataset)
    (folder / "ref.mrc").write_bytes((simulated / "ref_50A_bin2.mrc").read_bytes())
    return folder, dataset


@pytest.mark.parametrize("dialect", ARGUMENTS)
def test_every_dialect_keeps_poses_and_map(dialect, raw, claims, monkeypatch):
    folder, dataset = raw
    monkeypatch.chdir(folder)
    words = ["export", "--i", "optimisation_set.star", "--to", dialect, "--o", dialect, "--overwrite", *ARGUMENTS[dialect]]
    assert main(words) == 0
    read = READERS[dialect](folder / dialect, dataset)
    before, after = dataset.particles, read.particles
    naive = replace(before, rotation_subtomogram=np.tile(np.eye(3), (len(before), 1, 1)), origin_angstrom=0 * before.origin_angstrom)
    claims.measured(f"{dialect}: largest error of a position (Å)", off(before, after), at_most=1e-3, oracle=0.0, null=off(before, naive))
    turn = turned(before, after)
    claims.measured(f"{dialect}: largest error of an orientation (°)", turn, at_most=1e-3, oracle=0.0, null=turned(before, naive))
    curve = fsc(reconstructed(read, f"{dialect}_map"), reconstructed(dataset, "true_map"))
    null = fsc(reconstructed(dataset.with_particles(naive), "naive_map"), reconstructed(dataset, "true_map"))
    inside = slice(1, BOX // 2)
    lowest = float(curve[inside].min())
    claims.measured(f"{dialect}: lowest FSC with the map before", lowest, at_least=0.999, oracle=1.0, null=float(null[inside].mean()))


def off(one: Particles, other: Particles) -> float:
    """Å, the largest."""
    return float(np.linalg.norm(one.centre_angstrom - other.centre_angstrom, axis=1).max())


def turned(one: Particles, other: Particles) -> float:
    """Degrees, the largest."""
    between = np.swapaxes(one.rotation, 1, 2) @ other.rotation
    return float(np.degrees(Rotation.from_matrix(between).magnitude()).max())


def reconstructed(dataset: Dataset, name: str) -> np.ndarray:
    """The map these poses make of the tilt images, once per name."""
    if not Path(name, "merged.mrc").exists():
        write_dataset(f"{name}_set", dataset)
        words = ["reconstruct", "--i", f"{name}_set", "--particle-diameter", "300", "--box", str(BOX), "--bin", str(BIN), "--o", name]
        assert main(words) == 0
    return read_map(Path(name, "merged.mrc")).data


def in_relion(folder: Path, _: Dataset) -> Dataset:
    return read_dataset(folder)


def in_warp(folder: Path, dataset: Dataset) -> Dataset:
    """Poses and geometry from M's files, on the images of the data set, which Warp would look for beside them."""
    read = read_warp(folder / "warp_tiltseries.settings", folder / "m_particles.star").dataset
    assert read.particles.name.tolist() == dataset.particles.name.tolist()
    assert [series.name for series in read.tilt_series] == [series.name for series in dataset.tilt_series]
    pairs = zip(read.tilt_series, dataset.tilt_series, strict=True)
    series = tuple(
        replace(one, images=own.images, image_size=own.image_size, columns=own.columns, globals_=own.globals_, optics_name=own.optics_name)
        for one, own in pairs
    )
    return replace(moved(dataset, read.particles.centre_angstrom, read.particles.rotation), tilt_series=series)


def in_dynamo(folder: Path, dataset: Dataset) -> Dataset:
    names = read_dynamo_tomograms(folder / "particles.doc")
    assert [Path(names[number]).stem for number in (1, 2)] == [series.name for series in dataset.tilt_series]
    return posed(dataset, read_dynamo(folder / "particles.tbl"), block=True)


def in_stopgap(folder: Path, dataset: Dataset) -> Dataset:
    return posed(dataset, read_stopgap(folder / "motivelist.star"), block=False)


def posed(dataset: Dataset, poses: Poses, *, block: bool) -> Dataset:
    """The particles of a list in the tomograms of the data set."""
    series = dataset.tilt_series[0]
    assert poses.zero is not None and poses.rotation is not None
    edge = TOMOGRAM_BIN * series.pixel_size_angstrom
    return moved(
        dataset, centred_position(poses.position, poses.zero, edge, series.tomogram_size, edge / TOMOGRAM_BIN, block=block), poses.rotation
    )


def moved(dataset: Dataset, position: np.ndarray, rotation: np.ndarray) -> Dataset:
    """The same particles elsewhere, in the tomogram's frame."""
    table = dataset.particles
    frame = np.tile(np.eye(3), (len(table), 1, 1))
    nowhere = np.zeros_like(table.origin_angstrom)
    pose = replace(table, position_angstrom=position, origin_angstrom=nowhere, rotation_subtomogram=frame, rotation_particle=rotation)
    return dataset.with_particles(pose)


def corner(dataset: Dataset) -> np.ndarray:
    """Å, from the middle of a tomogram's first voxel to the centre, voxel n/2."""
    series = dataset.tilt_series[0]
    return np.array(series.tomogram_size) * series.pixel_size_angstrom / 2


def in_artiax(folder: Path, dataset: Dataset) -> Dataset:
    """As ArtiaX reads a RELION list: voxels times the voxel size it is told, angles z-y-z."""
    tables = [starfile.read(folder / f"{series.name}.star") for series in dataset.tilt_series]
    rows = np.concatenate([table["rlnTomoParticleId"] for table in tables]) - 1
    voxels = np.concatenate([table[[f"rlnCoordinate{axis}" for axis in "XYZ"]] for table in tables])[np.argsort(rows)]
    angles = np.concatenate([table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] for table in tables])[np.argsort(rows)]
    rotation = Rotation.from_euler("ZYZ", angles, degrees=True).inv().as_matrix()
    edge = TOMOGRAM_BIN * dataset.tilt_series[0].pixel_size_angstrom
    return moved(dataset, voxels * edge - corner(dataset), rotation)


def in_chimerax(folder: Path, dataset: Dataset) -> Dataset:
    """Where the scripts put the map's middle, and how they turn it."""
    text = "".join((folder / f"{series.name}.cxc").read_text() for series in dataset.tilt_series)
    assert re.findall(r"originIndex (\S+)", text) == ["24,24,24"] * len(dataset.particles)
    matrices = [[float(cell) for cell in cells.split(",")] for cells in re.findall(r"view matrix models #\d+,(\S+)", text)]
    matrix = np.array(matrices).reshape(-1, 3, 4)
    order = np.argsort(dataset.particles.tilt_series, kind="stable")
    back = np.argsort(order)
    return moved(dataset, matrix[back, :, 3] - corner(dataset), matrix[back, :, :3])


def in_table(folder: Path, dataset: Dataset) -> Dataset:
    with (folder / "particles.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    position = np.array([[float(row[f"flat_{axis}_angstrom"]) for axis in "xyz"] for row in rows])
    rotation = np.array([[float(row[f"flat_r{i}{j}"]) for i in "123" for j in "123"] for row in rows]).reshape(-1, 3, 3)
    return moved(dataset, position, rotation)


READERS: dict[str, Callable[[Path, Dataset], Dataset]] = {
    "relion5": in_relion,
    "relion4": in_relion,
    "warp": in_warp,
    "dynamo": in_dynamo,
    "stopgap": in_stopgap,
    "artiax": in_artiax,
    "chimerax": in_chimerax,
    "table": in_table,
}
