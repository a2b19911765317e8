"""Headers of MRC files: shape, type, pixel size, and whether the file is as long as its header says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import mrcfile.dtypes
import mrcfile.utils
import numpy as np
from numpy.typing import NDArray

from tomobayes.model import BadInput, Problem

__all__ = ["MrcHeader", "map_pixels", "read_header"]

HEADER_BYTES = 1024
MODES = (0, 1, 2, 6, 12)
MAX_EDGE = 10**7


@dataclass(frozen=True)
class MrcHeader:
    """What is needed to use the pixels of an MRC file: ``shape`` (sections, rows, columns), ``dtype``, ``offset`` in bytes."""

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    offset: int
    pixel_size_angstrom: float

    @property
    def has_pixel_size(self) -> bool:
        """Whether the pixel size means something: 0 and 1 are what programs write that do not know it."""
        return self.pixel_size_angstrom > 0 and abs(self.pixel_size_angstrom - 1) > 1e-6


def read_header(path: Path | str) -> MrcHeader:
    """Read and check the header of a map or stack.

    Raises
    ------
    BadInput
        file missing, not MRC, of a mode other than 0, 1, 2, 6 or 12, or shorter than its header says
    """
    path = Path(path)
    fields = _raw_fields(path)
    mode = int(fields["mode"])
    if mode not in MODES:
        remedy = "convert it to mode 2 (float32), for example with IMOD's newstack -mode 2"
        raise BadInput(Problem(path, "header", f"MRC mode {mode} is not supported", "pixels must be real numbers", remedy))
    dtype = mrcfile.utils.dtype_from_mode(mode).newbyteorder(fields.dtype["nx"].byteorder)
    shape = (int(fields["nz"]), int(fields["ny"]), int(fields["nx"]))
    columns, cell = int(fields["mx"]), float(fields["cella"]["x"])
    pixel_size = cell / columns if columns > 0 and np.isfinite(cell) else 0.0
    header = MrcHeader(path, shape, dtype, HEADER_BYTES + int(fields["nsymbt"]), pixel_size)
    _check_length(header)
    return header


def map_pixels(header: MrcHeader) -> NDArray[np.generic]:
    """(sections, rows, columns) the pixels, mapped into memory read-only: only what is touched is read."""
    return np.memmap(header.path, dtype=header.dtype, mode="r", offset=header.offset, shape=header.shape)


def _raw_fields(path: Path) -> np.void:
    """The header in the byte order in which its sizes make sense (machine stamps are often wrong)."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(HEADER_BYTES)
    except OSError as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise BadInput(Problem(path, "", what, remedy="check the name, the current folder and the permissions")) from error
    if len(raw) == HEADER_BYTES:
        for order in ("<", ">"):
            fields: np.void = np.frombuffer(raw, dtype=mrcfile.dtypes.HEADER_DTYPE.newbyteorder(order))[0]
            if all(0 < fields[edge] < MAX_EDGE for edge in ("nx", "ny", "nz")) and 0 <= fields["mode"] < 200 and fields["nsymbt"] >= 0:
                return fields
    what = "is not an MRC file" if len(raw) == HEADER_BYTES else f"is truncated: {len(raw)} bytes are less than an MRC header"
    raise BadInput(Problem(path, "header", what, remedy="copy or write the file again"))


def _check_length(header: MrcHeader) -> None:
    found = header.path.stat().st_size
    expected = header.offset + math.prod(map(int, header.shape)) * header.dtype.itemsize
    if found < expected:
        z, y, x = header.shape
        what = f"is truncated: {found} bytes, but its header tells of {x} x {y} x {z} pixels, {expected} bytes"
        raise BadInput(Problem(header.path, "header", what, remedy="copy or write the file again"))
