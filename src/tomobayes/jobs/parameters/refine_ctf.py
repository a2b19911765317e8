"""Parameters of ``refine-ctf``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.compute import ComputeParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["RefineCtf"]


class RefineCtf(DatasetParameters, ComputeParameters):
    """Defocus, astigmatism, scale and aberrations, from tilt images beside projections of the half-maps."""

    verb: ClassVar[str] = "refine-ctf"
    folder: ClassVar[str] = "CtfRefine"

    particle_diameter: PositiveFloat = Field(description="Diameter (Å) of the particle.")
    ref1: Path | None = Field(None, description="Unfiltered half-map of the first half-set, in place of the optimisation set's.")
    ref2: Path | None = Field(None, description="Unfiltered half-map of the second half-set.")
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1, in place of the set's; without any, a sphere of the diameter.")
    sym: str = Field("C1", description="Point group: Cn, Dn, T, O or I, axes as in RELION.")
    references: Literal["given", "rebuilt"] | None = Field(
        None,
        description="Compare with the half-maps as they are, or with maps rebuilt without the particle's own share of the images; "
        "without it, rebuilt where a half-set has fewer than 1000 particles.",
    )
    do_defocus: bool = Field(False, description="Refine the defocus and astigmatism of each tilt.")
    defocus_sigma: PositiveFloat | None = Field(
        None,
        description="How far the tilts of a series lie from their mean defocus (Å); without it, learned. A large value: each by itself.",
    )
    astigmatism_sigma: PositiveFloat | None = Field(None, description="The same for the astigmatism; without it, learned.")
    d0: float = Field(-3000.0, description="Lowest change of defocus (Å) that is searched.")
    d1: float = Field(3000.0, description="Highest change of defocus (Å) that is searched.")
    kmin: PositiveFloat = Field(30.0, description="Resolution (Å) from which on defocus and aberrations are looked for.")
    do_scale: bool = Field(False, description="Refine the strength of the signal in each tilt, as Lambert's law of the ice has it.")
    per_frame_scale: bool = Field(False, description="Refine the strength of each tilt by itself instead.")
    per_tomogram_scale: bool = Field(False, description="Let Lambert's law have a luminance of its own in each tilt series.")
    do_even_aberrations: bool = Field(False, description="Refine symmetric aberrations of each optics group.")
    ne: int = Field(4, ge=2, le=8, multiple_of=2, description="Highest degree of the symmetric polynomials.")
    do_odd_aberrations: bool = Field(False, description="Refine antisymmetric aberrations (coma, trefoil) of each optics group.")
    no: int = Field(3, ge=3, le=9, description="Highest degree of the antisymmetric polynomials, an odd number.")
    do_magnification: bool = Field(False, description="Refine the anisotropic magnification of each optics group.")
    split_by_time: PositiveInt | None = Field(
        None, description="First split each optics group into so many, tilt series in the order of the tomogram file."
    )
    max_dose: NonNegativeFloat | None = Field(None, description="Leave out images taken after more than this dose (e/Å²).")

    @model_validator(mode="after")
    def _has_something_to_do(self) -> RefineCtf:
        if (self.ref1 is None) != (self.ref2 is None):
            raise ValueError("--ref1 and --ref2 belong together: give both or neither")
        if not self.tasks:
            raise ValueError(f"say what to refine: one or more of {', '.join(map(self.option, type(self)._tasks()))}")
        if self.per_frame_scale and self.per_tomogram_scale:
            raise ValueError("--per-frame-scale and --per-tomogram-scale exclude each other: give one of them")
        if (self.per_frame_scale or self.per_tomogram_scale) and not self.do_scale:
            raise ValueError("--per-frame-scale and --per-tomogram-scale say how to --do-scale: give that as well")
        if self.no % 2 == 0:
            raise ValueError(f"--no must be an odd number, not {self.no}")
        if not self.d0 < 0 < self.d1:
            raise ValueError(f"--d0 and --d1 must lie on either side of zero, not {self.d0:g} and {self.d1:g}")
        return self

    @property
    def aberration_orders(self) -> tuple[tuple[bool, int], ...]:
        """Whether odd, and the highest degree, of the aberrations that are refined."""
        even = ((False, self.ne),) if self.do_even_aberrations else ()
        return (*even, (True, self.no)) if self.do_odd_aberrations else even

    @classmethod
    def _tasks(cls) -> tuple[str, ...]:
        return tuple(name for name in cls.model_fields if name.startswith("do_"))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The do_ options that were given."""
        return tuple(name for name in self._tasks() if getattr(self, name))
