"""Parameters of ``map-back``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from cyclopts import Parameter
from pydantic import Field, PositiveFloat

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["MapBack"]


class MapBack(DatasetParameters, JobParameters):
    """The average at the place and in the orientation of every particle: tomograms of it alone, with lists for ChimeraX and ArtiaX."""

    verb: ClassVar[str] = "map-back"
    folder: ClassVar[str] = "MapBack"

    ref: Path | None = Field(None, description="Map to put at every particle; without it the one in the job's folder that --i names.")
    mask: Path | None = Field(None, description="Soft mask of the part of the map that is put there; without it a sphere.")
    particle_diameter: PositiveFloat | None = Field(None, description="Diameter (Å) of that sphere; without it, nearly the map's box.")
    lowpass: PositiveFloat | None = Field(
        None, description="Low-pass the map to this resolution (Å); without it, 2.5 voxels of the tomogram."
    )
    tilt_series: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = Field(
        (), description="Only these tilt series; * and ? stand for anything."
    )
    tomogram_bin: PositiveFloat | None = Field(
        None,
        ge=1,
        description="Binning of the tomograms relative to the tilt images; without it that of the tomograms RELION reconstructed "
        "(rlnTomoTomogramBinning), else such that the map's box is 32 voxels.",
    )
    tomogram_by: Literal["relion", "imod"] = Field(
        "relion", description="Whose tomograms it is to lie over: the centre is voxel n/2 (relion) or between voxels (imod; AreTomo, too)."
    )
    marker_diameter: PositiveFloat = Field(100.0, description="Length (Å) of the arrows along the particles' z axes in ChimeraX.")
