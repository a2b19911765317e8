"""Tilt series and particles of Warp and M as a Dataset: our projection of them is Warp's own numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tomobayes.formats.euler import matrix_from_euler
from tomobayes.formats.mrc import write_array
from tomobayes.formats.star import Table, read_star, write_star
from tomobayes.formats.warp import WarpSizes, WarpTiltSeries, read_warp, read_warp_particles, read_warp_tilt_series, write_warp_tilt_series
from tomobayes.formats.warp_grids import CubicGrid
from tomobayes.formats.warp_particles import along_trajectories, series_name
from tomobayes.formats.warp_positions import dose_fractions, places_in_tilts, rotations_in_tilts
from tomobayes.imaging.views import transfer, views_of
from tomobayes.model import BadInput, Dataset
from tomobayes.optics.ctf import wavelength_angstrom
from warp_example import IMAGE, PIXEL, SIZES, VOLUME, refined_series, write_m_table, write_project

GEOMETRY = "data/geometry/warpylib_EMPIAR10491_10499"
K3 = (5760, 4092)


def reference(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points (27, 3) and what Warp's C# has of each of them in 41 tilts: x, y, rot, tilt, psi, defocus U, V, angle."""
    tables = read_star(shared / GEOMETRY / "TS_1.star")
    points, mappings = (np.stack([cells.astype(float) for cells in tables[name].columns.values()], -1) for name in ("points", "mappings"))
    return points, mappings.reshape(27, 41, -1)[..., 2:]


def test_places_are_those_of_warps_own_code(shared: Path) -> None:
    """EMPIAR-10491 TS_1 after M: image warp, stage angles, level angles; positions to 1e-3 Å, rotations to 1e-4 rad, defoci to 0.02 Å."""
    series = read_warp_tilt_series(shared / GEOMETRY / "TS_1.xml")
    points, theirs = reference(shared)
    volume, image = (4000 * 0.834, 5700 * 0.834, 1000 * 0.834), (K3[0] * 0.834, K3[1] * 0.834)
    corner = points + np.array(volume) / 2
    places = places_in_tilts(series, corner, volume, image)
    assert np.abs(places.image_angstrom - np.array(image) / 2 - theirs[..., :2]).max() < 1e-3
    rotation = rotations_in_tilts(series, corner, None, volume)
    assert np.linalg.norm(rotation - matrix_from_euler(theirs[..., 2:5]), axis=(2, 3)).max() / 2**0.5 < 1e-4
    assert np.abs(places.defocus_angstrom - theirs[..., 5:7].mean(-1)).max() < 0.02


def test_our_projection_gives_warps_own_places(shared: Path, tmp_path: Path) -> None:
    """The same numbers through Dataset, deformation and geometry.project: conventions from end to end."""
    points, theirs = reference(shared)
    (tmp_path / "TS_1.xml").write_bytes((shared / GEOMETRY / "TS_1.xml").read_bytes())
    write_points(tmp_path / "points.star", points, "TS_1.tomostar")
    found = read_warp(tmp_path, tmp_path / "points.star", sizes=WarpSizes(None, (4000, 5700, 1000), K3))
    views = views_of(found.dataset, np.arange(27))
    assert views.centre_px is not None
    assert np.abs(0.834 * (views.centre_px.numpy() - np.array(K3) / 2) - theirs[..., :2]).max() < 1e-3
    rotation = views.rotation.numpy() @ found.dataset.particles.rotation[:, None]
    assert np.linalg.norm(rotation - matrix_from_euler(theirs[..., 2:5]), axis=(2, 3)).max() / 2**0.5 < 1e-4
    assert found.remainders[0].rotation_degrees == (0, 0)
    assert 5 < found.remainders[0].defocus_angstrom[0] < 10


def write_points(path: Path, points: np.ndarray, name: str) -> None:
    labels = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
    columns = {label: points[:, i].astype(str) for i, label in enumerate(labels)} | {"rlnTomoName": np.full(len(points), name)}
    write_star(path, [Table("particles", columns)])


def centres(dataset: Dataset) -> np.ndarray:
    """(P, F, 2) Å of all particles of series of equal length."""
    rows = [np.flatnonzero(dataset.particles.tilt_series == i) for i in range(len(dataset.tilt_series))]
    found = np.zeros((len(dataset.particles), dataset.tilt_series[0].n_tilts, 2))
    for one in rows:
        views = views_of(dataset, one)
        assert views.centre_px is not None
        found[one] = views.centre_px.numpy() * dataset.tilt_series[0].pixel_size_angstrom
    return found


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, list[WarpTiltSeries]]:
    series = [refined_series("TS_1", 1), refined_series("TS_2", 2, inverted=True)]
    return write_project(tmp_path, series), series


def test_every_grid_and_trajectory_moves_our_particles_as_warps(project: tuple[Path, list[WarpTiltSeries]]) -> None:
    folder, series = project
    table = read_warp_particles(folder.parent / "ribosome_particles.star")
    found = read_warp(folder, table.file, sizes=SIZES)
    ours = centres(found.dataset)
    for i, one in enumerate(series):
        rows = np.flatnonzero(found.dataset.particles.tilt_series == i)
        points = along_trajectories(table.position[rows], dose_fractions(one))
        assert np.abs(ours[rows] - places_in_tilts(one, points, VOLUME, IMAGE).image_angstrom).max() < 1e-6
        rotation = matrix_from_euler(along_trajectories(table.euler_degrees[rows], dose_fractions(one)))
        theirs = rotations_in_tilts(one, points.mean(1), rotation, VOLUME)
        apart = np.linalg.norm(
            found.dataset.tilt_series[i].rotation @ found.dataset.particles.rotation[rows][:, None] - theirs, axis=(2, 3)
        )
        assert np.degrees(apart.max() / 2**0.5) == pytest.approx(found.remainders[i].rotation_degrees[1], rel=1e-3)
        assert 0 < found.remainders[i].rotation_degrees[0] < 1


@pytest.mark.parametrize("inverted", [False, True])
def test_the_ctf_is_the_same_function_of_the_image(tmp_path: Path, inverted: bool) -> None:
    """Warp's CTF at k, anisotropic magnification and all, is ours at M·k; the defocus follows the height, turned round where inverted."""
    made = refined_series("TS_1", 3, inverted=inverted)
    ctf = {"Voltage": "300", "Cs": "2.7", "Amplitude": "0.1"}
    grids = {tag: grid for tag, grid in made.cubic.items() if tag.startswith("GridCTF")}
    series = replace(made, cubic=grids, linear={}, ctf=ctf, magnification=((1.1, 0.004), (0.003, 1.102)))
    folder = write_project(tmp_path, [series])
    found = read_warp(folder, tmp_path / "ribosome_particles.star", sizes=SIZES).dataset
    frequency = torch.tensor([[0.03, 0.01], [-0.02, 0.05], [0.0, 0.08]], dtype=torch.float64)
    defocus = places_in_tilts(series, found.particles.position_angstrom + np.array(VOLUME) / 2, VOLUME, IMAGE).defocus_angstrom
    undosed = replace(found, tilt_series=tuple(replace(one, dose=0 * one.dose) for one in found.tilt_series))
    views = views_of(undosed, np.arange(len(found.particles)))
    for tilt in range(series.n_tilts):
        theirs = warps_ctf(series, tilt, defocus[:, tilt], frequency.numpy())
        assert np.abs(transfer(views, tilt, frequency).numpy() - theirs).max() < 2e-3


def warps_ctf(series: WarpTiltSeries, tilt: int, defocus: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """(P, J) as Warp computes it, with the sign by which bright particles have CTF > 0 at low frequency."""
    delta, angle, phase = (series.grid(f"GridCTF{name}").values[tilt, 0, 0] for name in ("DefocusDelta", "DefocusAngle", "Phase"))
    squared, direction = (frequency**2).sum(-1), np.arctan2(frequency[:, 1], frequency[:, 0])
    along = defocus[:, None] + 1e4 * delta / 2 * np.cos(2 * (direction - np.radians(angle)))
    wavelength = wavelength_angstrom(300)
    gamma = (
        -np.pi * wavelength * along * squared + np.pi / 2 * 2.7e7 * wavelength**3 * squared**2 - np.pi * phase - np.arctan(0.1 / 0.99**0.5)
    )
    return -np.sin(gamma)


def test_weights_that_m_estimated_are_the_envelope(tmp_path: Path) -> None:
    """scale·exp(B·k²/4), with the decay by dose in B; the critical dose where nothing was estimated."""
    series = replace(refined_series("TS_1", 4), magnification=((1.0, 0.0), (0.0, 1.0)))
    own = read_warp(write_project(tmp_path / "a", [series]), sizes=SIZES).dataset.tilt_series[0]
    factors = series.grid("GridDoseBfacs").values[:, 0, 0]
    assert np.allclose(-(own.b_factor + own.b_factor_per_dose * own.dose), factors)
    assert np.allclose(own.scale, series.grid("GridDoseWeights").values[:, 0, 0])
    plain = replace(series, cubic={"GridCTF": series.grid("GridCTF")})
    own = read_warp(write_project(tmp_path / "b", [plain]), sizes=SIZES).dataset.tilt_series[0]
    assert own.b_factor_per_dose == 0
    assert not own.b_factor.any()
    assert (own.scale == 1).all()


def test_tilts_that_are_not_used_are_left_out_and_told(tmp_path: Path) -> None:
    series = refined_series("TS_1", 1)
    used = np.arange(series.n_tilts) % 3 > 0
    whole = read_warp(write_project(tmp_path / "a", [series]), tmp_path / "a/ribosome_particles.star", sizes=SIZES)
    part = read_warp(write_project(tmp_path / "b", [replace(series, is_used=used)]), tmp_path / "b/ribosome_particles.star", sizes=SIZES)
    assert part.dataset.tilt_series[0].n_tilts == used.sum()
    assert np.allclose(centres(part.dataset), centres(whole.dataset)[:, used], atol=1e-6)
    assert any("TS_1 (3 of 9)" in note for note in part.notes)


def test_one_shift_for_the_whole_image_is_no_deformation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    moves = {f"GridMovement{axis}": CubicGrid(rng.normal(0, 9, (9, 1, 1))) for axis in "XY"}
    series = replace(refined_series("TS_1", 1), cubic=moves, linear={})
    write_project(tmp_path, [series])
    write_m_table(tmp_path / "still.star", ["TS_1"], samples=1)
    dataset = read_warp(tmp_path / "warp_tiltseries", tmp_path / "still.star", sizes=SIZES).dataset
    assert dataset.tilt_series[0].deformation is None
    assert dataset.motion_angstrom is None
    table = read_warp_particles(tmp_path / "still.star")
    assert np.allclose(centres(dataset), places_in_tilts(series, table.position[:, 0], VOLUME, IMAGE).image_angstrom, atol=1e-6)


@pytest.mark.parametrize("kind", ["wrp", "fractions", "pixels", "centred", "exported"])
def test_particles_of_all_kinds_are_at_one_place(tmp_path: Path, kind: str) -> None:
    """M's Å from the corner, template matching's fractions, pixels of a given size with origins, centred Å, WarpTools' exported series."""
    rng = np.random.default_rng(3)
    place, angles = rng.uniform(0.2, 0.8, (6, 3)) * VOLUME, rng.uniform(10, 100, (6, 3))
    names = {"rlnMicrographName": np.full(6, "TS_1.tomostar")}
    tables, pixel = [], None
    if kind == "wrp":
        columns = (
            labelled("wrpCoordinate%s1", place)
            | labelled("wrpAngle%s1", angles, ("Rot", "Tilt", "Psi"))
            | {"wrpSourceName": names["rlnMicrographName"]}
        )
    else:
        origin = rng.normal(0, 3, (6, 3)) if kind != "fractions" else np.zeros((6, 3))
        shown = {
            "fractions": place / VOLUME,
            "pixels": (place + origin) / 8,
            "exported": (place + origin) / 10,
            "centred": place + origin - np.array(VOLUME) / 2,
        }
        label = "rlnCenteredCoordinate%sAngst" if kind == "centred" else "rlnCoordinate%s"
        columns = (
            labelled(label, shown[kind])
            | labelled("rlnAngle%s", angles, ("Rot", "Tilt", "Psi"))
            | labelled("rlnOrigin%sAngst", origin)
            | names
        )
        pixel = 8.0 if kind == "pixels" else None
    if kind == "exported":
        columns = columns | {"rlnTomoName": names["rlnMicrographName"], "rlnOpticsGroup": np.full(6, "1")}
        tables = [Table("optics", {"rlnOpticsGroup": np.array(["1"]), "rlnImagePixelSize": np.array(["10.0"])})]
    write_star(tmp_path / "p.star", [*tables, Table("particles", columns)])
    folder = write_project(tmp_path, [replace(refined_series("TS_1", 1), linear={})])
    particles = read_warp(folder, tmp_path / "p.star", sizes=SIZES, coordinate_pixel_size_angstrom=pixel).dataset.particles
    assert np.allclose(particles.centre_angstrom + np.array(VOLUME) / 2, place, atol=1e-4)
    assert np.allclose(particles.rotation, matrix_from_euler(angles), atol=1e-6)


def labelled(label: str, values: np.ndarray, parts: tuple[str, ...] = ("X", "Y", "Z")) -> dict[str, np.ndarray]:
    return {label % part: np.array([f"{value:.7f}" for value in values[:, i]]) for i, part in enumerate(parts)}


def averages(folder: Path, series: WarpTiltSeries, pixel: float, size: tuple[int, int], missing: int | None = None) -> None:
    """One image per tilt where Warp puts the average of its movie, filled with its number."""
    for tilt, movie in enumerate(series.movie_paths.tolist()):
        path = folder / "frames/average" / f"{Path(movie).stem}.mrc"
        path.parent.mkdir(parents=True, exist_ok=True)
        if tilt != missing:
            write_array(path, np.full((1, size[1], size[0]), float(tilt)), pixel, "float32", is_stack=True)


def test_averages_of_movies_are_the_tilt_images(tmp_path: Path) -> None:
    """Binned by two: their pixel is the tilt series', and particles land where Warp has them, in the tilts that are used."""
    series = replace(refined_series("TS_1", 1), is_used=np.arange(9) != 4)
    averages(tmp_path, series, 2 * PIXEL, (350, 275))
    found = read_warp(write_project(tmp_path, [series]), tmp_path / "ribosome_particles.star")
    own = found.dataset.tilt_series[0]
    assert own.pixel_size_angstrom == pytest.approx(2 * PIXEL)
    assert own.image_size == (350, 275)
    assert own.images is not None
    assert [float(own.images.read(tilt).mean()) for tilt in range(own.n_tilts)] == [0, 1, 2, 3, 5, 6, 7, 8]
    table = read_warp_particles(tmp_path / "ribosome_particles.star")
    points = along_trajectories(table.position, dose_fractions(series))
    theirs = places_in_tilts(series, points, VOLUME, IMAGE).image_angstrom[:, series.is_used]
    assert np.abs(centres(found.dataset) - theirs).max() < 1e-5
    assert not any("averages" in note for note in found.notes)


def test_averages_that_do_not_fit_are_named(tmp_path: Path) -> None:
    """One missing means none; another size than the file says is a fault."""
    series = refined_series("TS_1", 1)
    averages(tmp_path / "a", series, PIXEL, (700, 550), missing=3)
    found = read_warp(write_project(tmp_path / "a", [series]))
    assert found.dataset.tilt_series[0].images is None
    assert any("averages" in note for note in found.notes)
    averages(tmp_path / "b", series, PIXEL, (70, 55))
    with pytest.raises(BadInput, match="70 x 55 pixels"):
        read_warp(write_project(tmp_path / "b", [series]))


def test_columns_unknown_to_us_stay(project: tuple[Path, list[WarpTiltSeries]]) -> None:
    folder, _ = project
    columns = read_warp(folder, folder.parent / "ribosome_particles.star", sizes=SIZES).dataset.particles.columns
    assert columns["rlnAutopickFigureOfMerit"][3] == "3.5"
    assert columns["wrpSourceHash"].tolist()[:2] == ["HASH0", "HASH1"]


def test_names_of_tilt_series() -> None:
    for cell in ("TS_1", "TS_1.tomostar", "a/b/TS_1.tomostar", "C:\\x\\TS_1.xml", "TS_1_10.00Apx.mrc", "TS_1_10.00Apx"):
        assert series_name(cell) == "TS_1"
    assert series_name("Position_5.2.tomostar") == "Position_5.2"


def test_settings_population_and_species_find_each_other(tmp_path: Path) -> None:
    """The settings say pixel and volume, the source lists the files, and the only species has the particles."""
    series = replace(refined_series("TS_1", 1), volume_angstrom=None, options={}, linear={}, ctf={})
    folder = write_project(tmp_path, [series])
    params = "".join(
        f'<Param Name="{name}" Value="{value}" />'
        for name, value in (("ProcessingFolder", "warp_tiltseries"), ("PixelSize", 2.0), ("BinTimes", 0))
    )
    sizes = "".join(f'<Param Name="Dimensions{axis}" Value="{edge}" />' for axis, edge in zip("XYZ", (600, 750, 201), strict=True))
    (tmp_path / "warp.settings").write_text(f"<Settings><Import>{params}</Import><Tomo>{sizes}</Tomo></Settings>")
    (folder / "s.source").write_text(
        f'<DataSource><Param Name="PixelSize" Value="2" />{sizes}<Files><File Hash="a" Name="TS_1.tomostar" /></Files></DataSource>'
    )
    (tmp_path / "species").mkdir()
    write_m_table(tmp_path / "species/ribosome_particles.star", ["TS_1"])
    population = '<Population><Sources><Source Path="warp_tiltseries/s.source" /></Sources>'
    population += '<Species><Species Path="species/ribosome.species" /></Species></Population>'
    (tmp_path / "p.population").write_text(population)
    found = [
        read_warp(tmp_path / name).dataset for name in ("warp.settings", "warp_tiltseries", "p.population", "warp_tiltseries/s.source")
    ]
    assert {one.tilt_series[0].tomogram_size for one in found} == {(600, 750, 201)}
    assert {one.tilt_series[0].pixel_size_angstrom for one in found} == {2.0}
    assert [len(one.particles) for one in found] == [0, 0, 12, 0]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("<Angles>", "<Angles>1\n", "values for"),
        ("<FOVFraction>1\n", "<FOVFraction>nan\n", "is not a number"),
        ('Width="4"', 'Width="5"', "one number for each"),
        ('Width="4"', 'Width="99999999"', "is a grid of"),
        ('Node X="0"', 'Node X="7"', "one number for each"),
        ('AreAnglesInverted="False"', 'AreAnglesInverted="maybe"', "True or False"),
        ('Name="Voltage" Value="300"', 'Name="Voltage" Value="high"', "is not a number"),
    ],
)
def test_faults_are_named(tmp_path: Path, old: str, new: str, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        read_warp_tilt_series(spoiled(tmp_path / "TS_1.xml", old, new))


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    """As Warp writes them under some locales."""
    assert read_warp_tilt_series(spoiled(tmp_path / "TS_1.xml", 'LevelAngleX="1.5"', 'LevelAngleX="1,5"')).level_degrees[0] == 1.5
    found = read_warp_tilt_series(spoiled(tmp_path / "TS_1.xml", "<AxisAngle>-85.6\n", "<AxisAngle>-85,6\n"))
    assert (found.axis_angle_degrees == -85.6).all()


def test_files_of_movies_are_refused(tmp_path: Path) -> None:
    (tmp_path / "frames.xml").write_text("<Movie></Movie>")
    with pytest.raises(BadInput, match="not a <TiltSeries>"):
        read_warp_tilt_series(tmp_path / "frames.xml")
    with pytest.raises(BadInput, match="holds no XML files of tilt series"):
        read_warp(tmp_path)


def spoiled(path: Path, old: str, new: str) -> Path:
    write_warp_tilt_series(path, refined_series("TS_1", 1))
    text = path.read_text("utf-8-sig")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_all_problems_come_at_once(project: tuple[Path, list[WarpTiltSeries]]) -> None:
    folder, series = project
    write_warp_tilt_series(folder / "TS_1.xml", replace(series[0], is_used=np.full(9, False)))
    (folder / "TS_2.xml").write_text("<TiltSeries><Angles>1\nx</Angles></TiltSeries>")
    (folder.parent / "p.star").write_text("data_\nloop_\n_rlnCoordinateX\n1\n")
    with pytest.raises(BadInput) as error:
        read_warp(folder, folder.parent / "p.star")
    assert len(error.value.problems) >= 4


def test_what_nobody_knows_is_asked_for(tmp_path: Path) -> None:
    """Pixel, volume and image sizes, and the pixel size of coordinates: never guessed."""
    series = replace(refined_series("TS_1", 1), volume_angstrom=None, image_angstrom=None, options={})
    with pytest.raises(BadInput) as error:
        read_warp(write_project(tmp_path, [series]))
    assert [any(word in str(one) for one in error.value.problems) for word in ("--angpix", "--tomogram-size", "--image-size")] == [True] * 3
    write_star(
        tmp_path / "p.star", [Table("", labelled("rlnCoordinate%s", np.full((2, 3), 40.0)) | {"rlnMicrographName": np.full(2, "TS_1")})]
    )
    with pytest.raises(BadInput, match="coordinates-angpix"):
        read_warp_particles(tmp_path / "p.star")
    with pytest.raises(BadInput, match=r"TS_9.*2 particles"):
        write_star(
            tmp_path / "p.star",
            [
                Table(
                    "",
                    labelled("wrpCoordinate%s1", np.ones((2, 3)))
                    | labelled("wrpAngle%s1", np.ones((2, 3)), ("Rot", "Tilt", "Psi"))
                    | {"wrpSourceName": np.full(2, "TS_9")},
                )
            ],
        )
        read_warp(tmp_path / "warp_tiltseries", tmp_path / "p.star", sizes=SIZES)


def test_real_sets_load(shared: Path) -> None:
    """Warp 1 with image and volume warp (UTF-16), WarpTools, M: all their grids, and no note that is not true."""
    warp_1 = read_warp(shared / "data/geometry/cryocat_TS_017_018/TS_017", sizes=WarpSizes(tomogram_size=(4096, 4096, 1500)))
    assert [one.n_tilts for one in warp_1.dataset.tilt_series] == [60]
    assert warp_1.dataset.tilt_series[0].image_size == (4096, 4096)
    assert warp_1.dataset.tilt_series[0].pixel_size_angstrom == pytest.approx(1.971)
    tools = read_warp(shared / "data/geometry/pytom-match-pick/warptools_xml_example", sizes=WarpSizes(tomogram_size=(4000, 4000, 1500)))
    assert len(tools.notes) == 1
    assert "averages are not beside" in tools.notes[0]
    assert tools.dataset.tilt_series[0].pixel_size_angstrom == PIXEL * 0.7303 / 2
