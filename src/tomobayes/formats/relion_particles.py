"""RELION's particles.star, in RELION-5 (centred Å) and RELION-4 (pixel) coordinates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_euler
from tomobayes.formats.problems import shortened
from tomobayes.formats.relion4 import centred_from_pixels
from tomobayes.formats.relion_of_warptools import centred_from_exported, is_exported
from tomobayes.formats.relion_optics import OpticsTable, check_against_tomograms, load_optics
from tomobayes.formats.relion_tomograms import Tomograms
from tomobayes.formats.star import Table
from tomobayes.formats.star_values import TableReader
from tomobayes.model import Optics, Particles, Problem, TiltSeries

__all__ = [
    "CENTRED_LABELS",
    "NO_PRIOR",
    "ORIGIN_LABELS",
    "PARTICLE_ANGLES",
    "PIXEL_LABELS",
    "SUBTOMOGRAM_ANGLES",
    "load_particles",
    "particle_reader",
]

Int = NDArray[np.int64]
CENTRED_LABELS = ("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst")
PIXEL_LABELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
SUBTOMOGRAM_ANGLES = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
PARTICLE_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
ORIGIN_LABELS = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
NO_PRIOR = 999.0
PICKING = "particle picking writes the tomogram and the position of each particle"


def particle_reader(tables: Mapping[str, Table], file: Path, problems: list[Problem]) -> TableReader | None:
    """The particle table of a file; None, with a problem, where it has none."""
    if "particles" in tables:
        return TableReader(file, tables["particles"], problems)
    problems.append(Problem(file, "", "has no table data_particles", remedy="give the particles.star of a RELION job"))
    return None


def load_particles(reader: TableReader, tables: Mapping[str, Table], tomograms: Tomograms) -> tuple[tuple[Optics, ...], Particles] | None:
    """Optics groups and particles, without their stored images; None, with problems in the reader, where they are faulty."""
    n_before = len(reader.problems)
    positions = CENTRED_LABELS if any(label in reader for label in CENTRED_LABELS) or PIXEL_LABELS[0] not in reader else PIXEL_LABELS
    if not reader.require(dict.fromkeys(("rlnTomoName", *positions), PICKING)):
        return None
    if len(reader) == 0:
        reader.report("", "has no particles", "give a file with particles")
    tilt_series = _tomogram_rows(reader, tomograms)
    optics_table = load_optics(tables, reader.file, tomograms, reader.problems)
    particles = _typed_columns(reader, tilt_series, _names(reader), positions)
    if not tomograms.series or (tilt_series < 0).any() or not optics_table.optics:
        return None
    optics = _optics_rows(reader, optics_table, tilt_series, tomograms.series)
    if len(reader.problems) > n_before:
        return None
    pairs = sorted({(tomograms.names[t], o) for t, o in zip(tilt_series.tolist(), optics.tolist(), strict=True)})
    reader.problems.extend(check_against_tomograms(reader.file, optics_table, pairs, tomograms))
    if positions is PIXEL_LABELS:
        particles = _centred(replace(particles, optics=optics), tomograms.series, optics_table.optics)
    return optics_table.optics, replace(particles, optics=optics)


def _tomogram_rows(reader: TableReader, tomograms: Tomograms) -> Int:
    """(P,) index of each particle's tomogram, -1 (reported) where it is unknown."""
    rows = {name: i for i, name in enumerate(tomograms.names)}
    names = reader.text("rlnTomoName").tolist()
    indices = np.array([rows.get(name, -1) for name in names], dtype=np.int64)
    unknown = {names[i]: i + 1 for i in np.flatnonzero(indices < 0)[::-1].tolist()}
    if unknown and tomograms.names:
        listed = shortened([f"{name!r} (row {row})" for name, row in sorted(unknown.items())])
        what = f"names tomograms that the tomogram file does not have: {listed}"
        reader.report("column rlnTomoName", what, f"correct the names or add the tomograms; it has {shortened(tomograms.names)}")
    return indices


def _names(reader: TableReader) -> NDArray[np.str_]:
    """(P,) unique names; where there are none, ``<tomogram>/<running number in it>`` as RELION makes them."""
    if "rlnTomoParticleName" not in reader:
        count: Counter[str] = Counter()
        names = []
        for tomogram in reader.text("rlnTomoName").tolist():
            count[tomogram] += 1
            names.append(f"{tomogram}/{count[tomogram]}")
        return np.array(names, dtype=np.str_)
    found = reader.text("rlnTomoParticleName")
    twice = [name for name, n in Counter(found.tolist()).items() if n > 1]
    if twice:
        rows = [f"{name} (rows {', '.join(str(i + 1) for i in np.flatnonzero(found == name)[:3])})" for name in twice[:5]]
        what = f"{len(twice)} particle name{'s occur' if len(twice) > 1 else ' occurs'} more than once: {shortened(rows)}"
        remedy = "give every particle its own name, or remove the column so that names are made"
        reader.report("column rlnTomoParticleName", what, remedy, "images and half-sets would be mixed up")
    return found


def _typed_columns(reader: TableReader, tilt_series: Int, names: NDArray[np.str_], positions: Sequence[str]) -> Particles:
    half = reader.integers("rlnRandomSubset")
    for row in np.flatnonzero((half < 0) | (half > 2))[:5].tolist():
        reader.report(f"row {row + 1}, column rlnRandomSubset", f"{half[row]} is no half-set", "write 1 or 2, or 0 where there is none")
    return Particles(
        name=names,
        tilt_series=tilt_series,
        optics=np.zeros(len(reader), dtype=np.int64),
        position_angstrom=reader.triple(positions),
        rotation_subtomogram=matrix_from_euler(reader.triple(SUBTOMOGRAM_ANGLES)),
        rotation_particle=matrix_from_euler(reader.triple(PARTICLE_ANGLES)),
        origin_angstrom=reader.triple(ORIGIN_LABELS),
        half=half,
        class_number=reader.integers("rlnClassNumber"),
        tilt_prior_degrees=_prior(reader, "rlnAngleTiltPrior"),
        psi_prior_degrees=_prior(reader, "rlnAnglePsiPrior"),
        rot_prior_degrees=_prior(reader, "rlnAngleRotPrior"),
        columns=reader.table.columns,
    )


def _prior(reader: TableReader, label: str) -> NDArray[np.float64]:
    """(P,) degrees, NaN where there is none."""
    degrees = reader.floats(label, NO_PRIOR)
    return np.where(degrees == NO_PRIOR, np.nan, degrees)


def _optics_rows(reader: TableReader, table: OpticsTable, tilt_series: Int, series: Sequence[TiltSeries]) -> Int:
    """(P,) index of each particle's optics group: by its number, else by its tomogram's group."""
    if "rlnOpticsGroup" in reader:
        rows = {number: i for i, number in enumerate(table.numbers)}
        numbers = reader.integers("rlnOpticsGroup").tolist()
        indices = np.array([rows.get(number, -1) for number in numbers], dtype=np.int64)
        unknown = sorted({numbers[i] for i in np.flatnonzero(indices < 0).tolist()})
    else:
        only = 0 if len(table.optics) == 1 else -1
        of_series = [max(table.index_of_name(one.optics_name), only) for one in series]
        indices = np.array(of_series, dtype=np.int64)[tilt_series]
        unknown = sorted({series[t].optics_name for t in tilt_series[indices < 0].tolist()})
    if unknown:
        what = f"names optics groups that data_optics does not have: {shortened([str(one) for one in unknown])}"
        reader.report("column rlnOpticsGroup", what, "correct the column or add the groups to data_optics")
    return indices


def _centred(particles: Particles, series: Sequence[TiltSeries], optics: Sequence[Optics]) -> Particles:
    """Pixel coordinates to Å from the tomogram's centre, as RELION 4 counts them or as WarpTools does."""
    size = np.array([one.tomogram_size for one in series], dtype=np.float64)[particles.tilt_series]
    pixel_size = np.array([one.pixel_size_angstrom for one in series])[particles.tilt_series]
    image_pixel = np.array([float(group.columns.get("rlnImagePixelSize", "nan")) for group in optics])[particles.optics]
    exported = np.array([is_exported(one) for one in series])[particles.tilt_series] & np.isfinite(image_pixel)
    position = centred_from_pixels(particles.position_angstrom, size, pixel_size)
    as_warp = centred_from_exported(particles.position_angstrom, image_pixel, size, pixel_size)
    return replace(particles, position_angstrom=np.where(exported[:, None], as_warp, position))
