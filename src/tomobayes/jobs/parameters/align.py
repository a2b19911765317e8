"""Parameters of ``align``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.compute import ComputeParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["Align"]


class Align(DatasetParameters, ComputeParameters):
    """Tilt angles, shifts, particle positions, deformation and motion, from tilt images beside projections of the half-maps."""

    verb: ClassVar[str] = "align"
    folder: ClassVar[str] = "Polish"

    particle_diameter: PositiveFloat = Field(description="Diameter (Å) of the particle.")
    ref1: Path | None = Field(None, description="Unfiltered half-map of the first half-set, in place of the optimisation set's.")
    ref2: Path | None = Field(None, description="Unfiltered half-map of the second half-set.")
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1, in place of the set's; without any, a sphere of the diameter.")
    sym: str = Field("C1", description="Point group: Cn, Dn, T, O or I, axes as in RELION.")
    references: Literal["given", "rebuilt"] = Field(
        "given", description="Begin with the half-maps as they are, or with maps rebuilt without each particle's own share of the images."
    )
    r: PositiveFloat = Field(20.0, description="Farthest displacement (Å) that is looked for, along each axis of the images.")
    rounds: PositiveInt = Field(
        2, description="Rounds of alignment; each but the first compares with maps rebuilt from the images as aligned so far."
    )
    const_p: bool = Field(False, description="Keep particle positions as they are.")
    const_a: bool = Field(False, description="Keep tilt angles as they are.")
    const_s: bool = Field(False, description="Keep image shifts as they are.")
    motion: bool = Field(False, description="Let particles move in the course of the tilt series.")
    s_vel: PositiveFloat | None = Field(None, description="Velocity (Å per e/Å², along each axis) of particles; without it, learned.")
    s_div: PositiveFloat | None = Field(None, description="Distance (Å) over which velocities are alike; without it, learned.")
    kernel: Literal["square-exponential", "exponential"] = Field(
        "square-exponential", description="How velocities become unlike with distance d: as exp(-d²/s_div²), or as exp(-d/s_div)."
    )
    deformation: bool = Field(False, description="Let images be deformed.")
    def_model: Literal["affine", "spline", "fourier"] = Field("spline", description="Kind of deformation.")
    def_w: PositiveInt = Field(3, description="Nodes or waves of the deformation across an image.")
    def_h: PositiveInt = Field(3, description="Nodes or waves of the deformation down an image.")
    def_reg: NonNegativeFloat = Field(0.0, description="Penalty λ·c² on each coefficient c of the deformation.")
    per_frame_deformation: bool = Field(False, description="Let each tilt image have a deformation of its own.")
    shift_only: bool = Field(False, description="Only shift tilt images, to where the whole image fits its prediction best, however far.")
    shift_only_by_particles: bool = Field(False, description="Only shift tilt images, within --r, to where its particles fit best.")
    min_frame: NonNegativeInt = Field(0, description="First tilt image, in the order of dose and from 0, that is aligned.")
    max_frame: NonNegativeInt | None = Field(None, description="Last tilt image, in the order of dose, that is aligned.")
    max_dose: PositiveFloat | None = Field(None, description="Leave out images taken after more than this dose (e/Å²).")

    @model_validator(mode="after")
    def _makes_sense(self) -> Align:
        if (self.ref1 is None) != (self.ref2 is None):
            raise ValueError("--ref1 and --ref2 belong together: give both or neither")
        if self.shift_only and self.shift_only_by_particles:
            raise ValueError("--shift-only and --shift-only-by-particles are two ways to do the same: give one of them")
        fits = ("const_p", "const_a", "const_s", "motion", "deformation")
        clash = [self.option(name) for name in fits if getattr(self, name)] if self.only_shifts else []
        if clash:
            raise ValueError(f"--shift-only changes nothing but shifts: leave out {', '.join(clash)}")
        if self.const_p and self.const_a and self.const_s and not self.motion and not self.deformation:
            raise ValueError("everything is kept as it is: leave out one of --const-p, --const-a and --const-s")
        self._says_more_of("motion", ("s_vel", "s_div", "kernel"))
        self._says_more_of("deformation", ("def_model", "def_w", "def_h", "def_reg", "per_frame_deformation"))
        if self.max_frame is not None and self.max_frame < self.min_frame:
            raise ValueError(f"--max-frame must be at least --min-frame ({self.min_frame}), not {self.max_frame}")
        return self

    def _says_more_of(self, switch: str, names: tuple[str, ...]) -> None:
        alone = [self.option(name) for name in names if name in self.model_fields_set]
        if alone and not getattr(self, switch):
            raise ValueError(f"{', '.join(alone)} say more about --{switch}: give that as well")

    @property
    def only_shifts(self) -> bool:
        """Whether nothing but shifts is looked for."""
        return self.shift_only or self.shift_only_by_particles
