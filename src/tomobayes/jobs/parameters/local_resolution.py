"""Parameters of ``local-resolution``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveFloat

from tomobayes.jobs.parameters.half_maps import HalfMapParameters

__all__ = ["LocalResolution"]


class LocalResolution(HalfMapParameters):
    """The resolution around every voxel, and a map filtered to it."""

    verb: ClassVar[str] = "local-resolution"
    folder: ClassVar[str] = "LocalRes"

    locres_minres: PositiveFloat = Field(50.0, description="Coarsest local resolution (Å) that is told.")
    fsc_threshold: float = Field(0.143, gt=0, lt=1, description="The local resolution is where the local FSC falls below this.")
    window: float = Field(
        4.0,
        ge=2,
        le=20,
        description="Width of the window around a voxel, in units of the resolution looked at: wider is surer, narrower sees more detail.",
    )
