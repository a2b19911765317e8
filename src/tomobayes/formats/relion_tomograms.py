"""RELION's tomograms.star with its tilt series, RELION-5 layout (angles and shifts) and RELION-4 layout (matrices)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.euler import matrix_from_tilt_angles
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.paths import Folders
from tomobayes.formats.problems import collecting
from tomobayes.formats.relion4 import MATRIX_LABELS, geometry_from_matrices
from tomobayes.formats.relion_deformation import deformation_of
from tomobayes.formats.relion_globals import GLOBAL_LABELS, GlobalRow, global_rows
from tomobayes.formats.relion_of_warptools import hand_as_meant
from tomobayes.formats.star import Table, read_star
from tomobayes.formats.star_values import TableReader
from tomobayes.formats.tilt_images import open_tilt_images
from tomobayes.model import BadInput, Problem, TiltSeries

__all__ = ["ImagePolicy", "Tomograms", "load_tomograms", "read_tomograms"]

Float = NDArray[np.float64]
ImagePolicy = Literal["required", "optional"]

ALIGNMENT = "tilt series alignment writes the angles and shifts"
CTF = "CTF estimation writes the defoci"
ANGLE_LABELS = {"rlnTomoYTilt": ALIGNMENT, "rlnTomoZRot": ALIGNMENT, "rlnTomoXShiftAngst": ALIGNMENT, "rlnTomoYShiftAngst": ALIGNMENT}
CTF_LABELS = {"rlnDefocusU": CTF, "rlnDefocusV": CTF, "rlnDefocusAngle": CTF}
DOSE_LABELS = {"rlnMicrographPreExposure": "import writes the dose before each tilt"}
NAME_LABELS = ("rlnTomoTiltSeriesName", "rlnTomoReconstructedTomogram")
TILT_NAME_LABELS = ("rlnMicrographName", "rlnMicrographNameEven", "rlnMicrographNameOdd")


@dataclass(frozen=True)
class Tomograms:
    """``names`` of all tomograms of a file; ``series`` holds all of them, or none where there were problems."""

    names: tuple[str, ...]
    series: tuple[TiltSeries, ...]
    reader: TableReader | None = None


def read_tomograms(path: Path | str, root: Path | None = None, *, images: ImagePolicy = "required") -> tuple[TiltSeries, ...]:
    """Read a RELION tomograms.star with all its tilt series.

    Parameters
    ----------
    path : tomograms.star
    root : folder that names inside the files are relative to, by default the current one (then the files' own)
    images : whether absent tilt images are a fault
    """
    problems: list[Problem] = []
    tomograms = load_tomograms(Path(path), root, images, problems)
    if problems:
        raise BadInput(problems)
    return tomograms.series


def load_tomograms(path: Path, root: Path | None, images: ImagePolicy, problems: list[Problem]) -> Tomograms:
    """As `read_tomograms`, but collecting into ``problems`` what is wrong."""
    n_before = len(problems)
    tables: dict[str, Table] = {}
    with collecting(problems):
        tables = read_star(path)
    if "global" not in tables:
        if len(problems) == n_before:
            remedy = "give the tomograms.star (or tilt_series.star) of a RELION job"
            problems.append(Problem(path, "", "has no table data_global", remedy=remedy))
        return Tomograms((), ())
    reader = TableReader(path, tables["global"], problems)
    complete = reader.require(GLOBAL_LABELS)
    names = tuple(reader.text("rlnTomoName").tolist())
    if not names:
        reader.report("", "has no tomograms", "give the tomograms.star (or tilt_series.star) of a RELION job")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        reader.report("column rlnTomoName", f"tomogram names occur twice: {', '.join(twice)}", "give every tomogram its own name")
    if not complete:
        return Tomograms(names, ())
    rows = global_rows(reader)
    folders = Folders(path, root)
    loaded = [_load_series(row, reader, tables, folders, images) for row in rows]
    series = tuple(one for one in loaded if one is not None)
    return Tomograms(names, series if len(problems) == n_before else (), reader)


def _load_series(row: GlobalRow, reader: TableReader, tables: dict[str, Table], folders: Folders, policy: ImagePolicy) -> TiltSeries | None:
    """One tilt series; None where it has problems."""
    n_before = len(reader.problems)
    tilts = _tilt_table(row, reader, tables, folders)
    if tilts is None:
        return None
    has_matrices = all(label in tilts for label in MATRIX_LABELS)
    geometry_labels = dict.fromkeys(MATRIX_LABELS, ALIGNMENT) if has_matrices else ANGLE_LABELS
    if not tilts.require({**DOSE_LABELS, **geometry_labels, **CTF_LABELS}) or len(reader.problems) > n_before:
        return None
    tilt_folders = Folders(tilts.file, folders.root)
    series = _assemble(row, tilts, _images(row, tilts, tilt_folders, policy))
    return _with_portable_names(series, folders, tilt_folders) if len(reader.problems) == n_before else None


def _tilt_table(row: GlobalRow, reader: TableReader, tables: dict[str, Table], folders: Folders) -> TableReader | None:
    """The per-tilt table: in a file of its own (RELION 5) or further down the same file (RELION 4)."""
    file = reader.file
    if row.star_name:
        file = folders.expected(row.star_name)
        tables = {}
        with collecting(reader.problems):
            tables = read_star(file)
        if not tables:
            return None  # told by the collected problems
    if row.name not in tables:
        what = f"has no table data_{row.name} for the tomogram {row.name}"
        reader.problems.append(Problem(file, "", what, remedy="name the table of each tilt series as rlnTomoName"))
        return None
    tilts = TableReader(file, tables[row.name], reader.problems)
    if row.n_frames not in (None, len(tilts)):
        what = f"has {len(tilts)} tilts, but rlnTomoFrameCount of {reader.file} says {row.n_frames}"
        tilts.report("", what, "correct the count or add the missing tilts")
    if len(tilts) == 0:
        tilts.report("", "has no tilts", "remove the tomogram or add its tilts")
    return tilts


def _images(row: GlobalRow, tilts: TableReader, folders: Folders, policy: ImagePolicy) -> MrcImages | None:
    """The tilt images; where they are optional, a file that is absent or does not fit means that there are none."""
    try:
        return open_tilt_images(tilts, row.stack_name, folders, row.pixel_size)
    except BadInput as error:
        if policy == "required":
            tilts.problems.extend(error.problems)
        return None


def _assemble(row: GlobalRow, tilts: TableReader, images: MrcImages | None) -> TiltSeries:
    image_size = (images.shape[2], images.shape[1]) if images is not None else None
    rotation, shift = _geometry(tilts, row.size, image_size, row.pixel_size)
    return TiltSeries(
        name=row.name,
        pixel_size_angstrom=row.pixel_size,
        hand=hand_as_meant(row.name, tilts.table.columns, row.hand),
        tomogram_size=row.size,
        image_size=image_size,
        rotation=rotation,
        shift_angstrom=shift,
        dose=tilts.floats("rlnMicrographPreExposure"),
        defocus_u_angstrom=tilts.floats("rlnDefocusU"),
        defocus_v_angstrom=tilts.floats("rlnDefocusV"),
        astigmatism_radians=np.radians(tilts.floats("rlnDefocusAngle")),
        phase_shift_radians=np.radians(tilts.floats("rlnPhaseShift")),
        scale=tilts.floats("rlnCtfScalefactor", 1.0),
        b_factor=tilts.floats("rlnCtfBfactor"),
        optics_name=row.optics_name,
        b_factor_per_dose=row.b_factor_per_dose,
        defocus_slope=row.defocus_slope,
        deformation=deformation_of(row.cells, tilts),
        images=images,
        columns=tilts.table.columns,
        globals_=row.cells,
    )


def _geometry(
    tilts: TableReader, tomogram_size: tuple[int, int, int], image_size: tuple[int, int] | None, pixel_size: float
) -> tuple[Float, Float]:
    """(F, 3, 3) rotations and (F, 2) shifts in Å."""
    if all(label in tilts for label in MATRIX_LABELS):
        return geometry_from_matrices(tilts, tomogram_size, image_size, pixel_size)
    angles = tilts.triple(("rlnTomoXTilt", "rlnTomoYTilt", "rlnTomoZRot"))
    return matrix_from_tilt_angles(angles), tilts.triple(("rlnTomoXShiftAngst", "rlnTomoYShiftAngst"), (0.0, 0.0))


def _with_portable_names(series: TiltSeries, folders: Folders, tilt_folders: Folders) -> TiltSeries:
    """The same series with file names that hold from the root, wherever the STAR file that carried them lies."""
    columns = {label: tilt_folders.portable(cells) if label in TILT_NAME_LABELS else cells for label, cells in series.columns.items()}
    globals_ = dict(series.globals_)
    for label in set(NAME_LABELS) & set(globals_):
        globals_[label] = str(folders.portable(np.array([globals_[label]]))[0])
    return replace(series, columns=columns, globals_=globals_)
