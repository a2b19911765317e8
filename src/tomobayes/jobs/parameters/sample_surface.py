"""Parameters of ``sample-surface``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from cyclopts import Parameter
from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from tomobayes.jobs.parameters.base import JobParameters

__all__ = ["SampleSurface", "Shape"]

Shape = Literal["sphere", "ellipsoid", "tube", "surface"]


class SampleSurface(JobParameters):
    """Particles evenly over surfaces, their z axes along the normals, with priors on tilt and psi."""

    verb: ClassVar[str] = "sample-surface"
    folder: ClassVar[str] = "Picks"

    picks: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = Field(
        min_length=1,
        description="Files of picked points: STAR files with rlnTomoName, rlnCoordinateX/Y/Z (or rlnCenteredCoordinateX/Y/ZAngst), and "
        "perhaps rlnSphereRadius, rlnTomoManifoldIndex or rlnHelicalTubeID; or text tables with a line 'tomogram x y z' for each point, "
        "and perhaps a fifth column: radius (spheres) or number of the object (other shapes).",
    )
    i: Path | None = Field(None, description="Optimisation set, or folder of an earlier job, whose tomograms to use.")
    t: Path | None = Field(None, description="Tomogram file, in place of the set's.")
    shape: Shape = Field(
        description="sphere: a centre with a radius, or four or more points on each; ellipsoid: nine or more points all over each; "
        "tube: the centre line of each, in order, with --radius; surface: points anywhere on each."
    )
    spacing: PositiveFloat = Field(description="Distance (Å) between particles: each has an area of its square.")
    coordinate_angpix: PositiveFloat | None = Field(
        None, description="Pixel size (Å) of the tomogram the points were picked in; without it, as the tomogram file says."
    )
    radius: PositiveFloat | None = Field(None, description="Radius (Å) of tubes.")
    offset: float = Field(0.0, description="Put particles this far (Å) outside the surface; negative: inside.")
    inward: bool = Field(False, description="Point z axes inwards.")
    centre: tuple[float, float, float] | None = Field(
        None, description="Inside of free surfaces, in the coordinates of the points; without it the side to which they bulge is outside."
    )
    random_seed: NonNegativeInt = Field(0, description="Seed of the angles about the normals.")

    @model_validator(mode="after")
    def _hangs_together(self) -> SampleSurface:
        if self.i is None and self.t is None:
            raise ValueError("give the tomograms with --t, or an optimisation set or a job's folder with --i")
        if (self.radius is None) == (self.shape == "tube"):
            raise ValueError(
                "tubes need a --radius (Å)" if self.shape == "tube" else f"--radius is for tubes, not for --shape {self.shape}"
            )
        if self.centre is not None and self.shape != "surface":
            raise ValueError(f"--centre is for free surfaces, not for --shape {self.shape}")
        return self
