"""The table data_global of RELION's tomograms.star: one row per tomogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomobayes.formats.star_values import TableReader

__all__ = ["GLOBAL_LABELS", "GlobalRow", "global_rows"]

GLOBAL_LABELS = {
    "rlnTomoName": "every tomogram has a name",
    "rlnTomoTiltSeriesPixelSize": "import writes the pixel size of the tilt images",
    "rlnTomoHand": "import writes the defocus hand, -1 or 1",
    "rlnVoltage": "import writes the optics",
    "rlnSphericalAberration": "import writes the optics",
    "rlnAmplitudeContrast": "import writes the optics",
    "rlnTomoSizeX": "tomogram reconstruction writes the tomogram size",
    "rlnTomoSizeY": "tomogram reconstruction writes the tomogram size",
    "rlnTomoSizeZ": "tomogram reconstruction writes the tomogram size",
}
"""Columns that must be there, and who writes them."""
OPTICS_LABELS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
"""Columns that are kept as text, to be compared with the particles' optics groups, but must be numbers."""


@dataclass(frozen=True)
class GlobalRow:
    """One tomogram's row of data_global."""

    name: str
    pixel_size: float
    hand: float
    size: tuple[int, int, int]
    optics_name: str
    b_factor_per_dose: float
    defocus_slope: float
    n_frames: int | None
    stack_name: str
    star_name: str
    cells: dict[str, str]


def global_rows(reader: TableReader) -> list[GlobalRow]:
    """All rows, with what is wrong with them in the reader's problems."""
    names = reader.text("rlnTomoName")
    pixel_sizes, hands = reader.floats("rlnTomoTiltSeriesPixelSize", 1.0), reader.floats("rlnTomoHand", 1.0)
    sizes = np.stack([reader.integers(f"rlnTomoSize{axis}") for axis in "XYZ"], axis=-1)
    optics_names = reader.table.columns.get("rlnOpticsGroupName", names)
    b_factors, slopes = reader.floats("rlnCtfBfactorPerElectronDose"), reader.floats("rlnTomoDefocusSlope", 1.0)
    for label in OPTICS_LABELS:
        reader.floats(label)
    n_frames = reader.integers("rlnTomoFrameCount") if "rlnTomoFrameCount" in reader else None
    stacks, stars = reader.text("rlnTomoTiltSeriesName"), reader.text("rlnTomoTiltSeriesStarFile")
    for label, faulty, expected in (
        ("rlnTomoTiltSeriesPixelSize", pixel_sizes <= 0, "a positive size in Å"),
        ("rlnTomoHand", np.abs(hands) != 1, "-1 or 1"),
        ("rlnTomoSizeX/Y/Z", (sizes <= 0).any(axis=1), "the size of the tomogram in unbinned pixels"),
    ):
        for row in np.flatnonzero(faulty).tolist():
            reader.report(f"row {row + 1}, column {label}", f"is not {expected}", "correct the value")
    return [
        GlobalRow(
            name=str(names[i]),
            pixel_size=float(pixel_sizes[i]),
            hand=float(hands[i]),
            size=(int(sizes[i, 0]), int(sizes[i, 1]), int(sizes[i, 2])),
            optics_name=str(optics_names[i]),
            b_factor_per_dose=float(b_factors[i]),
            defocus_slope=float(slopes[i]),
            n_frames=None if n_frames is None else int(n_frames[i]),
            stack_name=str(stacks[i]),
            star_name=str(stars[i]),
            cells={label: str(cells[i]) for label, cells in reader.table.columns.items()},
        )
        for i in range(len(reader))
    ]
