"""Warp 1, WarpTools and M, in and out: their own reference numbers, through our geometry, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from commands import tomobayes
from tomobayes.formats.alignment import geometry_of
from tomobayes.formats.euler import matrix_from_euler
from tomobayes.formats.imod import read_imod
from tomobayes.formats.relion import read_dataset
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.formats.warp import WarpSizes, read_warp, read_warp_tilt_series, write_warp, write_warp_tilt_series
from tomobayes.formats.warp_positions import places_in_tilts, rotations_in_tilts, tilt_rotations
from tomobayes.imaging.views import transfer, views_of

GEOMETRY = "data/geometry/warpylib_EMPIAR10491_10499"
VOLUME_PX, IMAGE_PX, PIXEL = (4000, 5700, 1000), (5760, 4092), 0.834
VOLUME, IMAGE = tuple(PIXEL * n for n in VOLUME_PX), tuple(PIXEL * n for n in IMAGE_PX)
SIZES = WarpSizes(None, VOLUME_PX, IMAGE_PX)
EXPORTED = "data/real/ribosome_70s_12A/warptools_test_4-tomos_10-ptcls_box-32_angpix-12_optimisation_set.star"


def _reference(shared):
    """27 points of EMPIAR-10491's TS_1 and what Warp's C# has of them in 41 tilts: x, y (Å from the image's middle), angles, defoci."""
    tables = read_star(shared / GEOMETRY / "TS_1.star")
    points, mappings = (np.stack([cells.astype(float) for cells in tables[name].columns.values()], -1) for name in ("points", "mappings"))
    return points, mappings.reshape(27, 41, -1)[..., 2:]


def _angle(first, second):
    """Largest angle between rotations, radians."""
    return 2 * np.arcsin(np.linalg.norm(first - second, axis=(-2, -1)).max() / 8**0.5)


def _as_project(shared, folder, points, angles):
    """TS_1 as M left it, and particles at the points."""
    folder.mkdir()
    (folder / "TS_1.xml").write_bytes((shared / GEOMETRY / "TS_1.xml").read_bytes())
    labels = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"] + [f"rlnAngle{name}" for name in ("Rot", "Tilt", "Psi")]
    columns = {label: column.astype(str) for label, column in zip(labels, np.hstack([points, angles]).T, strict=True)}
    write_star(folder / "p.star", [Table("particles", columns | {"rlnTomoName": np.full(len(points), "TS_1.tomostar")})])
    return folder


def test_warps_own_numbers(shared, claims):
    """EMPIAR-10491 after M: image warp of 6 x 4 x 41 nodes, stage angles, level angles, magnification; null: without the grids."""
    points, theirs = _reference(shared)
    series = read_warp_tilt_series(shared / GEOMETRY / "TS_1.xml")
    null = replace(series, cubic={tag: grid for tag, grid in series.cubic.items() if tag.startswith("GridCTF")})
    corner = points + np.array(VOLUME) / 2
    places, bare = (places_in_tilts(one, corner, VOLUME, IMAGE) for one in (series, null))
    off, without = (np.abs(one.image_angstrom - np.array(IMAGE) / 2 - theirs[..., :2]).max() for one in (places, bare))
    claims.measured("positions of 27 particles in 41 tilts, largest difference to Warp's C# (Å)", off, at_most=1e-3, null=without)
    turned, unturned = (
        _angle(rotations_in_tilts(one, corner, None, VOLUME), matrix_from_euler(theirs[..., 2:5])) for one in (series, null)
    )
    claims.measured("orientations, largest difference to Warp's C# (rad)", turned, at_most=1e-4, null=unturned)
    defocus = np.abs(places.defocus_angstrom - theirs[..., 5:7].mean(-1)).max()
    claims.measured("defoci, largest difference to Warp's C# (Å)", defocus, at_most=0.1)


def test_our_projection_is_warps(shared, claims, tmp_path):
    """The same numbers after import, through RELION-5 files on disk, deformation, motion and geometry.project."""
    points, theirs = _reference(shared)
    project = _as_project(shared, tmp_path / "m", points, np.zeros((27, 3)))
    sizes = ("--tomogram-size", *VOLUME_PX, "--image-size", *IMAGE_PX)
    tomobayes("import", "--i", project, "--particles", project / "p.star", *sizes, "--o", tmp_path / "job")
    dataset = read_dataset(tmp_path / "job", require_images=False)
    dataset = replace(dataset, tilt_series=tuple(replace(one, image_size=IMAGE_PX) for one in dataset.tilt_series))
    views = views_of(dataset, np.arange(27))
    off = np.abs(PIXEL * (views.centre_px.numpy() - np.array(IMAGE_PX) / 2) - theirs[..., :2]).max()
    claims.measured("positions after import, largest difference to Warp's C# (Å)", off, at_most=1e-3)
    turned = _angle(views.rotation.numpy() @ dataset.particles.rotation[:, None], matrix_from_euler(theirs[..., 2:5]))
    claims.measured("orientations after import, largest difference to Warp's C# (rad)", turned, at_most=1e-4)
    found = read_warp(project, project / "p.star", sizes=SIZES)
    claims.measured(
        "defoci of particles that follow the refined stage angles, rms difference to Warp's (Å)", found.remainders[0].defocus_angstrom[0]
    )


def test_warps_alignments_are_imods(shared, claims):
    """EMPIAR-10499: what Warp's C# made of an .xf, against our reading of the same file; IMOD counts from half a pixel beside."""
    folder = shared / GEOMETRY / "xf_import"
    imod, warp = read_imod(folder / "00254.xf"), read_warp_tilt_series(folder / "00254.xml")
    geometry = geometry_of(imod.views, 1.7005, 10.0, (3838, 3710), (3838, 3710, 1000))
    apart = np.abs(geometry.shift_angstrom + 0.5 * 1.7005 - warp.axis_offset_angstrom).max()
    claims.measured(
        "shifts of 41 tilts, largest difference to Warp's C# (Å)", apart, at_most=1e-3, null=float(np.abs(warp.axis_offset_angstrom).max())
    )
    turned = tilt_rotations(replace(warp, angle_degrees=-warp.angle_degrees))
    claims.measured("rotations, with Warp's tilts turned round, largest difference (rad)", _angle(geometry.rotation, turned), at_most=1e-4)
    claims.measured(
        "tilt axis, difference to Warp's C# (rad)", np.radians(abs(imod.axis_degrees - warp.axis_angle_degrees[0])), at_most=1e-4
    )


def test_nothing_is_lost_on_the_way_through(shared, claims, tmp_path):
    """Files of Warp 1, WarpTools and M that are read and written again."""
    files = sorted((shared / "data/geometry").rglob("*.xml"))
    changed = 0
    for file in files:
        write_warp_tilt_series(tmp_path / "again.xml", read_warp_tilt_series(file))
        changed += file.read_bytes() != (tmp_path / "again.xml").read_bytes()
    claims.measured("tilt-series files that differ by a byte after reading and writing", changed, at_most=0)
    claims.measured("such files", len(files), at_least=6)


def test_what_is_written_for_warp_is_read_again(shared, claims, tmp_path):
    """The refined EMPIAR-10491 series, and EMPIAR-10164 after RELION's polishing (5 series, 9,053 particles), into new files and back."""
    points, _ = _reference(shared)
    rng = np.random.default_rng(1)
    project = _as_project(shared, tmp_path / "m", 0.5 * points, rng.uniform([-180, 0, -180], [180, 180, 180], (27, 3)))
    refined = read_warp(project, project / "p.star", sizes=SIZES).dataset
    refined = replace(refined, particles=replace(refined.particles, half=1 + np.arange(27) % 2))
    root = shared / "data/empiar10164"
    polished = read_dataset(root / "Polish/job070", trajectories="none", root=root, require_images=False)
    polished = replace(polished, tilt_series=tuple(replace(one, image_size=(3838, 3710)) for one in polished.tilt_series))
    for name, dataset in (("EMPIAR-10491", refined), ("EMPIAR-10164", polished)):
        written = write_warp(tmp_path / name, dataset, {})
        again = read_warp(written.settings, written.m_particles).dataset
        moved, turned = _apart(dataset, again)
        claims.measured(f"{name}: positions in the images after writing and reading, largest difference (Å)", moved, at_most=1e-3)
        claims.measured(f"{name}: orientations in the images, largest difference (°)", turned, at_most=1e-3)


def _apart(first, second):
    moved = turned = 0.0
    for i, series in enumerate(first.tilt_series):
        rows = np.flatnonzero(first.particles.tilt_series == i)
        ours, theirs = views_of(first, rows), views_of(second, rows)
        moved = max(moved, float((ours.centre_px - theirs.centre_px).abs().max()) * series.pixel_size_angstrom)
        rotations = (views.rotation.numpy() @ one.particles.rotation[rows][:, None] for views, one in ((ours, first), (theirs, second)))
        turned = max(turned, np.degrees(_angle(*rotations)))
    return moved, turned


def test_exported_stacks_say_what_hand_and_coordinates_mean(shared, claims):
    """WarpTools' export of 40 ribosomes: the power of the stacks follows CTF² of the defocus at each particle's height.

    Log-likelihood of their Fourier amplitudes, independent and exponential with CTF² times a radial factor per tilt, against that without
    heights. Null: hand and coordinates as RELION would take them from the same files.
    """
    dataset = read_dataset(shared / EXPORTED)
    cells = [dataset.particles.columns[f"rlnCoordinate{axis}"].astype(float) for axis in "XYZ"]
    size = np.array(dataset.tilt_series[0].tomogram_size)
    as_relion = 1.667 * (np.stack(cells, -1) + 1 - size / 2)
    flat = _power_likelihood(dataset, dataset.particles.position_angstrom, 0.0)
    meant = _power_likelihood(dataset, dataset.particles.position_angstrom, dataset.tilt_series[0].hand) - flat
    other = _power_likelihood(dataset, dataset.particles.position_angstrom, -dataset.tilt_series[0].hand) - flat
    null = _power_likelihood(dataset, as_relion, -dataset.tilt_series[0].hand) - flat
    claims.measured("hand and coordinates as read, log-likelihood gained (nats)", meant, at_least=1000, null=null)
    claims.measured("the other hand, log-likelihood gained (nats)", other, at_most=0)


def _power_likelihood(dataset, position, slope):
    particles = replace(dataset.particles, position_angstrom=position, origin_angstrom=0 * position)
    series = tuple(replace(one, hand=1.0, defocus_slope=slope) for one in dataset.tilt_series)
    dataset = replace(dataset, tilt_series=series, particles=particles)
    y, x = np.meshgrid(*2 * [np.fft.fftfreq(32, 12.0)], indexing="ij")
    inside = (np.hypot(x, y) > 1 / 150) & (np.hypot(x, y) < 1 / 24.5)
    frequency = torch.tensor(np.stack([x[inside], y[inside]], -1))
    shells = np.round(np.hypot(x, y)[inside] * 384).astype(int)
    power = [np.abs(np.fft.fft2(particles.stacks.read(row).astype(float)))[:, inside] ** 2 for row in range(len(particles))]
    return sum(_tilts_likelihood(dataset, index, frequency, shells, power) for index in range(len(series)))


def _tilts_likelihood(dataset, index, frequency, shells, power):
    rows = np.flatnonzero(dataset.particles.tilt_series == index)
    views, total = views_of(dataset, rows), 0.0
    for tilt in range(dataset.tilt_series[index].n_tilts):
        seen = [i for i, row in enumerate(rows) if dataset.particles.visible[row][tilt]]
        if not seen:
            continue
        squared = transfer(views, tilt, frequency).numpy()[seen] ** 2
        expected = squared + 1e-4 * squared.max()
        found = np.array([power[rows[i]][dataset.particles.visible[rows[i]][:tilt].sum()] for i in seen])
        radial = np.array(
            [np.median((found / expected)[:, shells == shell]) / np.log(2) for shell in range(shells.min(), shells.max() + 1)]
        )
        expected = expected * radial[shells - shells.min()]
        total += (-np.log(expected) - found / expected).clip(-30).sum()
    return float(total)
