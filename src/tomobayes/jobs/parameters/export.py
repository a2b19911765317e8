"""Parameters of ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["Dialect", "Export"]

Dialect = Literal["relion5", "relion4", "warp", "dynamo", "stopgap", "artiax", "chimerax", "tomodrgn", "cryodrgn", "table"]
_STACKS = {"tomodrgn", "cryodrgn"}
_BELONGS = {
    "flat": {"relion5", "relion4"},
    "tomogram_bin": {"dynamo", "stopgap", "artiax", "chimerax", "table"},
    "tomogram_by": {"dynamo", "stopgap", "artiax", "chimerax", "table"},
    "ref": {"chimerax"},
    "marker_diameter": {"chimerax"},
    "tsv": {"table"},
    "box": _STACKS,
    "crop": _STACKS,
    "bin": _STACKS,
    "max_dose": _STACKS,
    "min_frames": _STACKS,
    "float16": _STACKS,
}


class Export(DatasetParameters, JobParameters):
    """Particles and tilt series as another program reads them. What its files cannot hold is said by name and size."""

    verb: ClassVar[str] = "export"
    folder: ClassVar[str] = "Export"

    to: Dialect = Field(description="Whose files to write.")
    flat: bool = Field(
        False, description="relion5, relion4: apply origins to positions and subtomograms' orientations to angles. Others always do."
    )
    tomogram_bin: PositiveFloat | None = Field(
        None,
        ge=1,
        description="Binning, relative to the tilt images, of the tomograms whose voxels coordinates count; without it that of the "
        "tomograms RELION reconstructed (rlnTomoTomogramBinning), else 1.",
    )
    tomogram_by: Literal["relion", "imod"] = Field(
        "relion", description="Who reconstructed those tomograms: the centre is voxel n/2 (relion) or between voxels (imod; AreTomo, too)."
    )
    ref: Path | None = Field(None, description="chimerax: a map to put at every particle.")
    marker_diameter: PositiveFloat = Field(100.0, description="chimerax: length (Å) of the arrows along the particles' z axes.")
    tsv: bool = Field(False, description="table: columns apart by tabs, not commas.")
    box: PositiveInt | None = Field(
        None, multiple_of=2, description="tomodrgn, cryodrgn: edge, in binned pixels, of the box in which the CTF is applied."
    )
    crop: PositiveInt | None = Field(
        None, multiple_of=2, description="tomodrgn, cryodrgn: edge of the images, in binned pixels; without it, --box."
    )
    bin: PositiveFloat = Field(1.0, ge=1, description="tomodrgn, cryodrgn: binning of the images relative to the tilt series.")
    max_dose: PositiveFloat | None = Field(None, description="tomodrgn, cryodrgn: leave out images taken after more than this dose (e/Å²).")
    min_frames: PositiveInt = Field(1, description="tomodrgn, cryodrgn: leave out particles seen in fewer images.")
    float16: bool = Field(False, description="tomodrgn, cryodrgn: write half-precision files (MRC mode 12).")

    @model_validator(mode="after")
    def _options_of_the_dialect(self) -> Export:
        for name, dialects in _BELONGS.items():
            if name in self.model_fields_set and self.to not in dialects:
                raise ValueError(f"{self.option(name)} says nothing with --to {self.to}: it belongs to {' and '.join(sorted(dialects))}")
        if self.to in _STACKS and self.box is None:
            raise ValueError(f"--to {self.to} writes images: give the edge of their box with --box")
        if self.box is not None and self.crop is not None and self.crop > self.box:
            raise ValueError(f"--crop must be at most --box ({self.box}), not {self.crop}")
        return self

    @property
    def writes_images(self) -> bool:
        """Whether images of the particles are cut."""
        return self.to in _STACKS
