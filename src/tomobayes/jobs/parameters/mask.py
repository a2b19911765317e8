"""Parameters of ``mask``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters

__all__ = ["Mask"]


class Mask(JobParameters):
    """A soft mask around a map's density, or a soft sphere."""

    verb: ClassVar[str] = "mask"
    folder: ClassVar[str] = "MaskCreate"

    i: Path | None = Field(None, description="Map whose density the mask is to enclose.")
    lowpass: NonNegativeFloat = Field(15.0, description="Low-pass the map to this resolution (Å) first; 0: as it is.")
    ini_threshold: float | None = Field(
        None, description="Density from which on the mask begins; without it, chosen from the map's histogram."
    )
    extend_inimask_px: float = Field(3.0, description="Grow the mask by this many voxels (negative: shrink).")
    width_soft_edge_px: NonNegativeFloat = Field(6.0, description="Width of the soft edge beyond that, in voxels.")
    largest_component: bool = Field(False, description="Keep only the largest connected piece.")
    sphere_diameter: PositiveFloat | None = Field(None, description="Instead of --i: diameter (Å) of a sphere, with --box and --angpix.")
    box: PositiveInt | None = Field(None, description="Edge of the mask in voxels, for a sphere.")
    angpix: PositiveFloat | None = Field(None, description="Voxel size (Å): of a sphere, or in place of the one in the map's header.")

    @model_validator(mode="after")
    def _from_a_map_or_a_sphere(self) -> Mask:
        if (self.i is None) == (self.sphere_diameter is None):
            raise ValueError("give either a map with --i or a sphere with --sphere-diameter, --box and --angpix")
        if self.sphere_diameter is not None and (self.box is None or self.angpix is None):
            raise ValueError("a sphere needs its --box (voxels) and --angpix (Å) as well")
        if self.i is not None and self.box is not None:
            raise ValueError("--box belongs to a sphere: a mask made from a map has the map's box")
        return self

    @property
    def names_a_file(self) -> bool:
        """``--o FILE.mrc`` writes just the mask, without a folder."""
        return self.o is not None and self.o.suffix == ".mrc"
