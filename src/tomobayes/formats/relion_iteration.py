"""What run_itNNN_model.star, of RELION or of this program, tells of one iteration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomobayes.formats.star import Table, read_star
from tomobayes.model import BadInput, Problem

__all__ = ["Changes", "IterationModel", "read_changes", "read_iteration_model"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class IterationModel:
    """One iteration of a refinement or classification.

    Parameters
    ----------
    box, pixel_size_angstrom : of the maps
    resolution_angstrom : that of the best class
    distribution : share of the particles in each class
    fsc : gold-standard FSC of each class per shell; empty without half-sets
    """

    box: int
    pixel_size_angstrom: float
    resolution_angstrom: float
    distribution: tuple[float, ...]
    fsc: tuple[Float, ...]


def read_iteration_model(path: Path) -> IterationModel:
    """Read one model file.

    Raises
    ------
    BadInput
        if it is no model file, or a cell is no number.
    """
    with _expected(path, "model"):
        tables = read_star(path)
        general = {label: column[0] for label, column in tables["model_general"].columns.items()}
        distribution = tables["model_classes"].columns["rlnClassDistribution"].astype(float)
        return IterationModel(
            box=int(general["rlnOriginalImageSize"]),
            pixel_size_angstrom=float(general["rlnPixelSize"]),
            resolution_angstrom=float(general["rlnCurrentResolution"]),
            distribution=tuple(distribution.tolist()),
            fsc=_fsc(tables, len(distribution)),
        )


@dataclass(frozen=True)
class Changes:
    """By how much an iteration changed the particles: their orientations and offsets on average, and the share that changed its class."""

    orientation_degrees: float
    offset_angstrom: float
    classes: float


def read_changes(path: Path) -> Changes:
    """Read them from run_itNNN_optimiser.star, which RELION writes.

    Raises
    ------
    BadInput
        if it is no such file, or a cell is no number.
    """
    with _expected(path, "optimiser"):
        cells = {label: column[0] for label, column in read_star(path)["optimiser_general"].columns.items()}
        return Changes(
            orientation_degrees=float(cells["rlnChangesOptimalOrientations"]),
            offset_angstrom=float(cells["rlnChangesOptimalOffsets"]),
            classes=float(cells["rlnChangesOptimalClasses"]),
        )


@contextmanager
def _expected(path: Path, kind: str) -> Iterator[None]:
    """Say of a file that lacks what is asked of it that it is of another kind."""
    try:
        yield
    except (KeyError, IndexError, ValueError) as error:
        raise BadInput(Problem(path, "", f"this is no {kind} file of a refinement ({error})", remedy="check the path")) from None


def _fsc(tables: Mapping[str, Table], n_classes: int) -> tuple[Float, ...]:
    """A curve that is zero everywhere stands for none: RELION writes it for classes without half-sets."""
    classes = [tables[f"model_class_{number}"].columns for number in range(1, n_classes + 1)]
    curves = [columns["rlnGoldStandardFsc"].astype(float) for columns in classes if "rlnGoldStandardFsc" in columns]
    return tuple(curve for curve in curves if curve[1:].any())
