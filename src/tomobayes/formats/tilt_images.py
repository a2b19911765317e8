"""The tilt images that a RELION tilt series names: one stack, or one name per tilt (``000001@stack`` or a file of its own)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tomobayes.formats.mrc_header import MrcHeader, read_header
from tomobayes.formats.mrc_images import MrcImages
from tomobayes.formats.paths import Folders
from tomobayes.formats.problems import collecting, shortened
from tomobayes.formats.star_values import TableReader
from tomobayes.model import BadInput, Problem

__all__ = ["PIXEL_TOLERANCE", "open_tilt_images", "pixel_size_problem"]

PIXEL_TOLERANCE = 1e-3
Slices = list[tuple[Path, int]]


def open_tilt_images(tilts: TableReader, stack_name: str, folders: Folders, pixel_size_angstrom: float) -> MrcImages:
    """Open the images of one tilt series and check them against its table.

    Parameters
    ----------
    tilts : table of the tilt series, one row per tilt
    stack_name : rlnTomoTiltSeriesName, a stack with all tilts in row order; empty where each row names its image
    folders : where names are looked for
    pixel_size_angstrom : of the unbinned images

    Raises
    ------
    BadInput
        files missing or truncated, fewer images than tilts, one image for several tilts, sizes or pixel sizes that contradict each other
    """
    problems: list[Problem] = []
    slices = _stack_slices(tilts, stack_name, folders) if stack_name else _named_slices(tilts, folders, problems)
    headers = _read_headers(slices, tilts, problems)
    if not problems:
        _check_sections(slices, headers, tilts, bool(stack_name), problems)
        _check_sizes(headers, tilts, pixel_size_angstrom, problems)
    if problems:
        raise BadInput(problems)
    return MrcImages(slices, headers, pixel_size_angstrom)


def pixel_size_problem(header: MrcHeader, pixel_size_angstrom: float, source: str) -> Problem | None:
    """A header that knows another pixel size (by more than 0.1 %) than a STAR file."""
    found = header.pixel_size_angstrom
    both_known = header.has_pixel_size and pixel_size_angstrom > 0
    if not both_known or abs(found - pixel_size_angstrom) <= PIXEL_TOLERANCE * found:
        return None
    what = f"the pixel size {found:.4f} Å contradicts {pixel_size_angstrom:.4f} Å of {source}"
    return Problem(header.path, "header", what, "maps would come out at the wrong scale", "correct the header or the STAR file")


def _stack_slices(tilts: TableReader, stack_name: str, folders: Folders) -> Slices:
    path = folders.expected(stack_name)
    return [(path, section) for section in range(len(tilts))]


def _named_slices(tilts: TableReader, folders: Folders, problems: list[Problem]) -> Slices:
    if not tilts.require({"rlnMicrographName": "import and motion correction name the tilt images"}):
        problems.append(tilts.problems.pop())
        return []
    slices: Slices = []
    files: dict[str, Path] = {}
    for row, name in enumerate(tilts.text("rlnMicrographName").tolist(), start=1):
        number, _, bare = name.rpartition("@")
        if number and not (number.isdigit() and int(number) > 0):
            where = f"table data_{tilts.table.name}, row {row}, column rlnMicrographName"
            problems.append(Problem(tilts.file, where, f"{name!r} names no image", remedy="number images from 000001@"))
            continue
        if bare not in files:
            files[bare] = folders.expected(bare)
        slices.append((files[bare], int(number or 1) - 1))
    return slices


def _read_headers(slices: Slices, tilts: TableReader, problems: list[Problem]) -> dict[Path, MrcHeader]:
    headers: dict[Path, MrcHeader] = {}
    missing: list[str] = []
    for path in dict.fromkeys(path for path, _ in slices):
        if not path.exists():
            missing.append(str(path))
            continue
        with collecting(problems):
            headers[path] = read_header(path)
    if missing:
        what = f"tilt images are not there: {shortened(missing)}"
        problems.append(Problem(tilts.file, f"table data_{tilts.table.name}", what, remedy="copy them here or correct their names"))
    return headers


def _check_sections(slices: Slices, headers: dict[Path, MrcHeader], tilts: TableReader, is_stack: bool, problems: list[Problem]) -> None:
    wanted = Counter(path for path, _ in slices)
    for path, header in headers.items():
        depth = header.shape[0]
        if is_stack and depth != len(tilts):
            what = f"holds {depth} images, but {tilts.file} has {len(tilts)} tilts in data_{tilts.table.name}"
            problems.append(Problem(path, "header", what, remedy="give the stack one image per tilt, in row order"))
        elif max(section for name, section in slices if name == path) >= depth:
            what = f"holds {depth} images, but {tilts.file} names {wanted[path]} of its images up to a higher number"
            problems.append(Problem(path, "header", what, remedy="correct rlnMicrographName or copy the whole stack"))
    repeated = [f"{section + 1}@{path}" for (path, section), n in Counter(slices).items() if n > 1]
    if repeated:
        what = f"several tilts have the same image: {shortened(repeated)}"
        where = f"table data_{tilts.table.name}, column rlnMicrographName"
        problems.append(Problem(tilts.file, where, what, remedy="name one image per tilt, in a stack as 000001@stack.mrcs"))


def _check_sizes(headers: dict[Path, MrcHeader], tilts: TableReader, pixel_size_angstrom: float, problems: list[Problem]) -> None:
    sizes = {header.shape[1:]: path for path, header in headers.items()}
    if len(sizes) > 1:
        what = "tilt images differ in size: " + shortened([f"{x} x {y} ({path})" for (y, x), path in sizes.items()])
        problems.append(Problem(tilts.file, f"table data_{tilts.table.name}", what, remedy="crop or pad them to one size"))
    contradictions = (pixel_size_problem(header, pixel_size_angstrom, "rlnTomoTiltSeriesPixelSize") for header in headers.values())
    problems.extend(problem for problem in contradictions if problem)
