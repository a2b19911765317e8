"""Writing a Dataset as a project of WarpTools and M."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomobayes.formats.atomic import atomic_path
from tomobayes.formats.problems import shortened
from tomobayes.formats.warp_export_particles import trajectories_of, write_m_particles, write_warp_particles
from tomobayes.formats.warp_export_series import as_warp_series, is_natural_spline, warp_frame
from tomobayes.formats.warp_frame import WarpFrame
from tomobayes.formats.warp_geometry import IMAGE_SIZE_LABELS, ORIGIN_LABEL
from tomobayes.formats.warp_tilt_series import WarpTiltSeries, read_warp_tilt_series
from tomobayes.formats.warp_tomostar import Tomostar, write_tomostar
from tomobayes.formats.warp_write_series import write_warp_tilt_series
from tomobayes.model import BadInput, Dataset, Deformation, Optics, Problem, TiltSeries

__all__ = ["WarpExport", "write_warp"]


@dataclass(frozen=True)
class WarpExport:
    """What was written.

    Parameters
    ----------
    settings : WarpTools' settings, or None where tilt series differ in pixel or volume
    processing : folder of the tilt series' XML files
    tomostars : folder of the tomostar files
    particles : table that WarpTools and create_species read, or None without particles
    m_particles : table as M keeps it, with trajectories, or None without particles or half-sets
    notes : a sentence for everything that Warp's files do not hold as the data set has it
    """

    settings: Path | None
    processing: Path
    tomostars: Path
    particles: Path | None
    m_particles: Path | None
    notes: tuple[str, ...]


def write_warp(folder: Path | str, dataset: Dataset, originals: Mapping[str, WarpTiltSeries] | None = None) -> WarpExport:
    """Write tilt series and particles as WarpTools and M read them.

    Makes ``warp_tiltseries.settings``, ``warp_tiltseries/*.xml``, ``tomostar/*.tomostar``, ``particles.star`` and ``m_particles.star``.
    `read_warp` of the settings and m_particles.star gives the same data set again.

    Parameters
    ----------
    folder : where to write
    dataset : what to write
    originals : name -> tilt series as it was read from Warp; its file is then kept but for what has changed. By default those that the
        tilt series were imported from, where they are still there; none with an empty mapping

    Raises
    ------
    BadInput
        deformed images of which nobody knows the size
    ValueError
        an original that uses another number of tilts
    """
    dataset = replace(dataset, tilt_series=_sized(dataset.tilt_series))
    folder, notes = Path(folder), _notes(dataset)
    known = _originals(dataset.tilt_series, notes) if originals is None else originals
    optics = {group.name: group for group in dataset.optics}
    series = [as_warp_series(one, _optics_of(one, dataset, optics), known.get(one.name)) for one in dataset.tilt_series]
    frames = [warp_frame(one, known.get(one.name)) for one in dataset.tilt_series]
    for one, own in zip(series, dataset.tilt_series, strict=True):
        write_tomostar(folder / "tomostar" / f"{one.name}.tomostar", _tomostar(one, own))
        write_warp_tilt_series(folder / "warp_tiltseries" / f"{one.name}.xml", one)
    settings = _write_settings(folder / "warp_tiltseries.settings", dataset.tilt_series, frames, dataset.optics)
    particles, m_particles = None, None
    if len(dataset.particles):
        trajectories = trajectories_of(dataset, series, frames)
        particles = folder / "particles.star"
        write_warp_particles(particles, dataset, trajectories, frames)
        if dataset.particles.half.all():
            m_particles = folder / "m_particles.star"
            write_m_particles(m_particles, dataset, trajectories)
        if trajectories.samples.shape[1] > 1:
            notes.append(
                f"Particles move: {trajectories.samples.shape[1]} samples each in M's table, {_precision(trajectories.error_angstrom)}."
            )
    return WarpExport(settings, folder / "warp_tiltseries", folder / "tomostar", particles, m_particles, tuple(notes))


def _sized(tilt_series: Sequence[TiltSeries]) -> tuple[TiltSeries, ...]:
    """The tilt series with the size of their images, from where they were imported if the images are not at hand."""
    sized, unknown = [], []
    for one in tilt_series:
        cells = [one.globals_.get(label, "") for label in IMAGE_SIZE_LABELS]
        if one.image_size is None and all(cell.isascii() and cell.isdigit() and int(cell) > 0 for cell in cells):
            one = replace(one, image_size=(int(cells[0]), int(cells[1])))
        if one.image_size is None and one.deformation is not None and one.deformation.coefficients.any():
            unknown.append(one.name)
        sized.append(one)
    if unknown:
        what = f"deformations of {shortened(unknown)} cannot be written: the size of the images is not known"
        raise BadInput(Problem(None, "", what, remedy="bring the tilt images to where the tables say they are"))
    return tuple(sized)


def _originals(tilt_series: Sequence[TiltSeries], notes: list[str]) -> dict[str, WarpTiltSeries]:
    """The tilt series as they were imported; a note where that file is gone or has other tilts now."""
    found = {}
    for one in tilt_series:
        name = one.globals_.get(ORIGIN_LABEL)
        if name is None:
            continue
        try:
            original = read_warp_tilt_series(name)
        except BadInput as error:
            notes.append(
                f"{one.name}: a new file is written, since the one it was imported from cannot be read ({error.problems[0].what})."
            )
            continue
        if int(original.is_used.sum()) == one.n_tilts:
            found[one.name] = original
        else:
            notes.append(f"{one.name}: a new file is written, since the one it was imported from uses other tilts.")
    return found


def _precision(error_angstrom: float) -> str:
    return "exact at every tilt" if error_angstrom < 1e-3 else f"off by up to {error_angstrom:.3f} Å between them"


def _optics_of(series: TiltSeries, dataset: Dataset, named: Mapping[str, Optics]) -> Optics:
    """The group that the series names, else that of its particles, else the first."""
    if series.optics_name in named:
        return named[series.optics_name]
    index = [one.name for one in dataset.tilt_series].index(series.name)
    mine = dataset.particles.optics[dataset.particles.tilt_series == index]
    return dataset.optics[int(mine[0]) if len(mine) else 0]


def _tomostar(series: WarpTiltSeries, own: TiltSeries) -> Tomostar:
    columns = {label: cells for label, cells in own.columns.items() if label.startswith("wrp")} if series.is_used.all() else {}
    return Tomostar(
        series.movie_paths, series.angle_degrees, series.axis_angle_degrees, np.zeros((series.n_tilts, 2)), series.dose, columns
    )


def _is_exact(deformation: Deformation) -> bool:
    return deformation.kind == "affine" or is_natural_spline(deformation)


def _notes(dataset: Dataset) -> list[str]:
    notes = []
    if not dataset.particles.half.all():
        notes.append("Not all particles belong to a half-set: M's own table is not written (tomobayes split-halves deals them).")
    if any(one.b_factor_per_dose == 0 and one.b_factor.any() for one in dataset.tilt_series):
        notes.append("B factors are written for M's decay of 4 Å² per e/Å², in place of the critical dose.")
    bent = [one.name for one in dataset.tilt_series if one.deformation is not None and not _is_exact(one.deformation)]
    if bent:
        notes.append(f"{shortened(bent)}: deformations are written as natural splines, which only approach them.")
    if any(one.even_zernike and one.even_zernike[0] for one in dataset.optics):
        notes.append("The constant even aberration has no place in Warp's files.")
    areas = {group.name: float(np.linalg.det(np.array(group.magnification))) for group in dataset.optics}
    slopes = [one.defocus_slope * areas.get(one.optics_name, 1.0) for one in dataset.tilt_series]
    if any(abs(slope - 1) > 1e-3 for slope in slopes):
        notes.append("Factors of the depth in the defocus (rlnTomoDefocusSlope) have no place in Warp's files.")
    return notes


def _write_settings(path: Path, series: Sequence[TiltSeries], frames: Sequence[WarpFrame], optics: Sequence[Optics]) -> Path | None:
    """WarpTools' settings: pixel, volume and folders."""
    if len({(one.pixel_size_angstrom, one.tomogram_size) for one in series}) != 1:
        return None
    x, y, z = series[0].tomogram_size
    sections = {
        "Import": {
            "DataFolder": "tomostar",
            "ProcessingFolder": "warp_tiltseries",
            "Extension": "*.tomostar",
            "PixelSize": f"{frames[0].pixel_size_angstrom:.9g}",
            "BinTimes": "0",
        },
        "CTF": {"Voltage": f"{optics[0].voltage_kv:.9g}", "Cs": f"{optics[0].spherical_aberration_mm:.9g}"},
        "Tomo": {"DimensionsX": str(x), "DimensionsY": str(y), "DimensionsZ": str(z)},
    }
    body = "".join(f"\t<{name}>\n{_parameters(values)}\t</{name}>\n" for name, values in sections.items())
    with atomic_path(path) as temporary:
        temporary.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<Settings>\n{body}</Settings>\n', encoding="utf-8-sig")
    return path


def _parameters(values: Mapping[str, str]) -> str:
    return "".join(f'\t\t<Param Name="{name}" Value="{value}" />\n' for name, value in values.items())
