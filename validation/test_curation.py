"""Curation and geometry: duplicates, lattices and surfaces, on planted faults and on EMPIAR-10164's own picks and poses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import starfile
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

import tomobayes as tb
from hiv_scene import BINNED_ANGSTROM, real_dataset
from tomobayes.formats.mrc import read_map
from tomobayes.formats.relion import read_dataset, write_dataset
from tomobayes.maps.fsc import fsc, resolution_at
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import BadInput, Dataset
from tomobayes.particles.rows import with_rows

BOX, PIXEL = 40, 10.0


def _with_duplicates(dataset: Dataset) -> Dataset:
    """Every second particle once more, 4 Å off, in the other half."""
    count = len(dataset.particles)
    again = np.arange(0, count, 2)
    twice = with_rows(dataset, np.concatenate([np.arange(count), again]))
    table, copy = twice.particles, np.arange(count + len(again)) >= count
    names = np.array([f"{name}{'b' if one else ''}" for name, one in zip(table.name.tolist(), copy.tolist(), strict=True)])
    step = np.random.default_rng(0).normal(size=(len(copy), 3))
    step *= 4 / np.linalg.norm(step, axis=1, keepdims=True)
    origin = table.origin_angstrom + step * copy[:, None]
    return twice.with_particles(replace(table, name=names, origin_angstrom=origin, half=np.where(copy, 3 - table.half, table.half)))


def _correlation(source: Path) -> tuple[float, float]:
    """Mean FSC of the whole half-maps from 28 to 22 Å, where next to nothing but noise is, and their resolution (Å) inside a sphere."""
    out = tb.reconstruct(tb.Reconstruct(i=source, box=BOX, bin=1, particle_diameter=260, j=1))
    halves = [read_map(out / f"half{number}.mrc").data for number in (1, 2)]
    curve = fsc(*halves)
    shell = np.arange(len(curve))
    outer = (shell >= BOX * PIXEL / 28) & (shell <= BOX * PIXEL / 22)
    mask = sphere_mask(BOX, 260 / PIXEL, 4.0)
    return float(curve[outer].mean()), resolution_at(fsc(*(mask * half for half in halves)), BOX, PIXEL)


def test_duplicates_inflate_the_fsc_until_they_are_gone(tmp_path, monkeypatch, claims):
    """Half-maps of ribosomes at their true poses, noise alone beyond 30 Å; a half of the particles is there twice, once in each half."""
    monkeypatch.chdir(tmp_path)
    tb.simulate(
        tb.Simulate(n_series=2, n_particles=60, angpix=PIXEL, box=BOX, image_size_px=(256, 256), snr=0.004, min_distance=300, o="sim")
    )
    dataset = read_dataset("sim")
    half = 1 + np.random.default_rng(1).permutation(len(dataset.particles)) % 2
    alone = write_dataset("alone", dataset.with_particles(replace(dataset.particles, half=half)))
    planted = write_dataset("planted", _with_duplicates(read_dataset(alone)))
    oracle, resolution = _correlation(alone)
    before, inflated = _correlation(planted)
    deduped = _correlation(tb.dedupe(tb.Dedupe(i=planted, distance=20)))
    split = _correlation(tb.split_halves(tb.SplitHalves(i=planted, particle_diameter=260)))
    claims.measured("FSC of noise with duplicates across halves", before, at_least=0.25, oracle=oracle)
    claims.measured("FSC of noise after dedupe", deduped[0], at_least=-0.1, at_most=0.1, oracle=oracle, null=before)
    claims.measured("FSC of noise after split-halves", split[0], at_least=-0.1, at_most=0.1, oracle=oracle, null=before)
    for how, found in (("dedupe", deduped[1]), ("split-halves", split[1])):
        bar = {"at_least": 0.9 * resolution, "at_most": 1.1 * resolution}
        claims.measured(f"resolution after {how} (Å)", found, **bar, oracle=resolution, null=inflated)


def _strangers(dataset: Dataset, kind: str) -> Dataset:
    """As many particles as there are, turned at random (and 3 Å off), or 20 to 100 Å off in any direction, or both."""
    count = len(dataset.particles)
    random = np.random.default_rng(7)
    chosen = with_rows(dataset, random.integers(count, size=count))
    table = chosen.particles
    step = random.normal(size=(count, 3))
    step *= random.uniform(20, 100, (count, 1)) / np.linalg.norm(step, axis=1, keepdims=True)
    position = table.position_angstrom + (step if kind != "turned" else random.normal(0, 3, (count, 3)))
    turned = Rotation.random(count, random_state=3).as_matrix() if kind != "moved" else table.rotation_particle
    names = np.array([f"stranger/{row}" for row in range(count)])
    return chosen.with_particles(replace(table, name=names, position_angstrom=position, rotation_particle=turned))


def _mixed(dataset: Dataset, strangers: Dataset) -> Dataset:
    """Members, then strangers, without foreign columns."""
    first, second = dataset.particles, strangers.particles
    names = ("name", "tilt_series", "optics", "position_angstrom", "rotation_subtomogram", "rotation_particle", "origin_angstrom", "half",
             "class_number", "tilt_prior_degrees", "psi_prior_degrees", "rot_prior_degrees")  # fmt: skip
    both = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names}
    return dataset.with_particles(replace(first, **both, columns={}, visible=None))


@pytest.mark.parametrize("kind", ["turned", "moved", "turned and moved"])
def test_a_lattice_keeps_its_members_and_no_strangers(shared, tmp_path, monkeypatch, claims, kind):
    """EMPIAR-10164's final poses with as many random ones among them."""
    monkeypatch.chdir(tmp_path)
    dataset = real_dataset(shared)
    mixed = write_dataset("mixed", _mixed(dataset, _strangers(dataset, kind)))
    kept = read_dataset(tb.clean_lattice(tb.CleanLattice(i=mixed, sym="C6")), require_images=False).particles.name
    stranger = np.char.startswith(kept, "stranger/").sum()
    count = len(dataset.particles)
    plain = write_dataset("plain", dataset.with_particles(replace(dataset.particles, columns={}, visible=None)))
    alone = len(read_dataset(tb.clean_lattice(tb.CleanLattice(i=plain, sym="C6")), require_images=False).particles)
    claims.measured(
        f"share of members kept among strangers that are {kind}", (len(kept) - stranger) / count, at_least=0.95, oracle=alone / count
    )
    claims.measured(f"share of strangers rejected that are {kind}", 1 - stranger / count, at_least=0.95)


def test_particles_turned_about_their_normals_are_no_lattice(shared, tmp_path, monkeypatch, claims):
    """The same positions and normals with random angles about them: no spots in the neighbour plot."""
    monkeypatch.chdir(tmp_path)
    dataset = real_dataset(shared)
    turn = Rotation.from_euler("z", np.random.default_rng(0).uniform(0, 360, (len(dataset.particles), 1)), degrees=True).as_matrix()
    turned = replace(dataset.particles, rotation_particle=dataset.particles.rotation_particle @ turn, columns={}, visible=None)
    source = write_dataset("turned", dataset.with_particles(turned))
    try:
        kept = len(read_dataset(tb.clean_lattice(tb.CleanLattice(i=source, sym="C6")), require_images=False).particles)
    except BadInput:
        kept = 0
    claims.measured("particles kept of a lattice with random turns", kept, at_most=0.01 * len(turned))


def test_spheres_are_covered_as_by_relions_picker(shared, tmp_path, monkeypatch, claims):
    """EMPIAR-10164's annotated spheres at 60 Å, against the frames that RELION's picker gave the particles that are left of it."""
    monkeypatch.chdir(tmp_path)
    folder = shared / "data/empiar10164"
    files = sorted((folder / "Picks/job009/annotations").glob("*_spheres.star"))
    rows = [row for path in files for row in starfile.read(path).itertuples(index=False)]
    out = tb.sample_surface(tb.SampleSurface(picks=files, t=folder / "Tomograms/job006/tomograms.star", shape="sphere", spacing=60))
    ours, real = read_dataset(out, require_images=False), real_dataset(shared)
    angles, counts = [], []
    for index, series in enumerate(real.tilt_series):
        row = next(i for i, one in enumerate(ours.tilt_series) if one.name == series.name)
        mine = ours.particles.tilt_series == row
        theirs = real.particles.tilt_series == index
        normal = _picked_normals(real, theirs)
        place = _picked_places(real.particles.centre_angstrom[theirs], normal, rows, series)
        nearest = cKDTree(ours.particles.centre_angstrom[mine]).query(place)[1]
        cosine = (ours.particles.rotation[mine][nearest][:, :, 2] * normal).sum(1)
        angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        numbers = [int(name.split("/")[1]) for name in real.particles.name[theirs].tolist()]
        counts.append(int(mine.sum()) / max(numbers))
    every = np.concatenate(angles)
    claims.measured("median angle (°) to the picker's normal at the nearest particle", float(np.median(every)), at_most=4.0, null=90.0)
    claims.measured("99th percentile of it (°)", float(np.percentile(every, 99)), at_most=8.0, null=180.0)
    claims.measured("particles over the picker's, fewest of five tomograms", min(counts), at_least=0.9)
    claims.measured("particles over the picker's, most of five tomograms", max(counts), at_most=1.1)


def _picked_normals(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Where the particle's z axis is at tilt 90 and psi 0 in its frame: -x of the subtomogram, by RELION's convention."""
    return -dataset.particles.rotation_subtomogram[rows][:, :, 0]


def _picked_places(centre: np.ndarray, normal: np.ndarray, rows: list, series: object) -> np.ndarray:
    """Where on its sphere a particle was picked, told by its normal; the sphere is that whose surface is nearest."""
    here = [row for row in rows if row.rlnTomoName == series.name]
    middle = np.array([[row.rlnCoordinateX, row.rlnCoordinateY, row.rlnCoordinateZ] for row in here]) * BINNED_ANGSTROM
    middle -= (np.array(series.tomogram_size) / 2 - 1) * series.pixel_size_angstrom
    radius = np.array([row.rlnSphereRadius for row in here]) * BINNED_ANGSTROM
    sphere = np.abs(np.linalg.norm(centre[:, None] - middle, axis=-1) - radius).argmin(1)
    return middle[sphere] + radius[sphere, None] * normal
