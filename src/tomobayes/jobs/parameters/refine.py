"""Parameters of ``refine``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.compute import ComputeParameters
from tomobayes.jobs.parameters.images import ImageParameters

__all__ = ["Refine"]


class Refine(ImageParameters, ComputeParameters):
    """Poses, half-maps and their resolution, from coarse to fine, until nothing improves."""

    verb: ClassVar[str] = "refine"
    folder: ClassVar[str] = "Refine3D"

    free_to_change: ClassVar[frozenset[str]] = ComputeParameters.free_to_change | {"keep_iterations", "from_iteration"}
    not_recorded: ClassVar[frozenset[str]] = ComputeParameters.not_recorded | {"from_iteration"}
    may_change: ClassVar[frozenset[str]] = frozenset(
        {
            "mask",
            "healpix_order",
            "auto_local_healpix_order",
            "offset_range",
            "sigma_tilt",
            "sigma_psi",
            "sigma_rot",
            "tau2_fudge",
            "max_iter",
        }
    )

    particle_diameter: PositiveFloat = Field(
        description="Diameter (Å) of the particle: final maps are expected in that sphere, and in the mask where it reaches further."
    )
    ref: Path | None = Field(
        None, description="Reference map, whose box and pixel size are the defaults; without one, each half's own from the given poses."
    )
    ref1: Path | None = Field(None, description="Reference of the first half-set, in place of --ref.")
    ref2: Path | None = Field(None, description="Reference of the second half-set.")
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1; without it, a sphere of the particle's diameter.")
    sym: str = Field("C1", description="Point group: Cn, Dn, T, O or I, axes as in RELION.")
    relax_sym: str | None = Field(
        None, description="Point group that the particle has but for details: local searches also try these mates of each pose."
    )
    ini_high: PositiveFloat | None = Field(
        None, description="Low-pass the reference to this resolution (Å) first; without it 60, or as fine as the halves' own maps agree."
    )
    healpix_order: int = Field(2, ge=0, le=5, description="Order of the first global search, a step of 60°/2^order.")
    auto_local_healpix_order: NonNegativeInt | None = Field(
        None, description="Search locally as soon as orientations ask for a step of 60°/2^order; without it, once they settle."
    )
    offset_range: PositiveFloat | None = Field(None, description="Largest shift tried at first (Å); without it, 5 binned pixels.")
    offset_step: PositiveFloat | None = Field(
        None, description="Spacing (Å) of the shifts tried at first, which is halved once; without it, a binned pixel at most."
    )
    offset_sigma: PositiveFloat = Field(10.0, description="Width (Å, per axis) of the first prior on shifts.")
    sigma_ang: PositiveFloat | None = Field(
        None, description="Search only around the given poses, with a prior of this width (degrees); without it, everywhere."
    )
    sigma_tilt: PositiveFloat | None = Field(None, description="Width (degrees) of a prior on the tilt around rlnAngleTiltPrior.")
    sigma_psi: PositiveFloat | None = Field(None, description="Width (degrees) of a prior on psi around rlnAnglePsiPrior.")
    sigma_rot: PositiveFloat | None = Field(None, description="Width (degrees) of a prior on rot around rlnAngleRotPrior.")
    low_resol_join_halves: PositiveFloat | None = Field(
        None, description="Resolution (Å) below which both halves share one reference, so that they cannot drift apart."
    )
    tau2_fudge: PositiveFloat = Field(1.0, description="Trust the data's spectrum more (> 1) or less (< 1) than their FSC says.")
    max_iter: PositiveInt = Field(30, description="Stop after this many iterations, converged or not.")
    likelihood: Literal["exact", "relion4"] = Field(
        "exact", description="Likelihood of pseudo-subtomograms; relion4: with every voxel weighed by its mean CTF² once more."
    )
    keep_iterations: PositiveInt = Field(
        5, description="Keep maps and checkpoints of so many iterations, which a continued job can go back to; STAR files are all kept."
    )
    from_iteration: NonNegativeInt | None = Field(None, description="With --continue: go back to the end of this iteration.")
    random_seed: NonNegativeInt = Field(0, description="Seed of the half-sets where there are none.")

    @model_validator(mode="after")
    def _one_reference_or_two(self) -> Refine:
        if (self.ref1 is None) != (self.ref2 is None):
            raise ValueError("--ref1 and --ref2 belong together: give both or neither")
        if self.ref is not None and self.ref1 is not None:
            raise ValueError("give one reference with --ref or two with --ref1 and --ref2, not both")
        if self.offset_step is not None and self.offset_range is not None and self.offset_step > self.offset_range:
            raise ValueError(f"--offset-step must be at most --offset-range ({self.offset_range:g}), not {self.offset_step:g}")
        if self.from_iteration is not None and not self.continue_:
            raise ValueError("--from-iteration goes back in a job that was run before: give --continue and its folder as well")
        return self

    @property
    def back_to(self) -> int | None:
        """The iteration that --from-iteration names."""
        return self.from_iteration

    @property
    def references(self) -> tuple[Path, Path] | None:
        """Reference of each half-set."""
        if self.ref is not None:
            return self.ref, self.ref
        return None if self.ref1 is None or self.ref2 is None else (self.ref1, self.ref2)
