"""Parameters of ``classify``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.compute import ComputeParameters
from tomobayes.jobs.parameters.images import ImageParameters

__all__ = ["Classify"]


class Classify(ImageParameters, ComputeParameters):
    """Several maps of particles whose poses are known, and which particle shows which."""

    verb: ClassVar[str] = "classify"
    folder: ClassVar[str] = "Class3D"

    free_to_change: ClassVar[frozenset[str]] = ComputeParameters.free_to_change | {"keep_iterations", "from_iteration"}
    not_recorded: ClassVar[frozenset[str]] = ComputeParameters.not_recorded | {"from_iteration"}
    may_change: ClassVar[frozenset[str]] = frozenset({"mask", "focus_mask", "tau2_fudge", "max_iter", "strict_highres_exp"})

    particle_diameter: PositiveFloat = Field(description="Diameter (Å) of the particle.")
    k: PositiveInt = Field(2, description="Number of classes.", ge=2, le=50)
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1; without it, a sphere of the particle's diameter.")
    focus_mask: Path | None = Field(
        None, description="Where classes may differ, 0 to 1, inside the solvent mask: all share one map elsewhere; without it, everywhere."
    )
    sym: str = Field("C1", description="Point group: Cn, Dn, T, O or I, axes as in RELION.")
    start: Literal["subspace", "random"] = Field(
        "subspace", description="First classes: from the directions in which particles differ most (PCA at their poses), or at random."
    )
    restarts: PositiveInt = Field(5, description="With --start random: from so many random starts the one that explains the images best.")
    strict_highres_exp: PositiveFloat | None = Field(
        None, description="Compare images up to this resolution (Å) only; without it, a little beyond that of the map of all classes."
    )
    tau2_fudge: PositiveFloat = Field(1.0, description="Trust the data's spectrum more (> 1) or less (< 1) than their FSC says.")
    max_iter: PositiveInt = Field(25, description="Stop after this many iterations, converged or not.")
    keep_iterations: PositiveInt = Field(
        5, description="Keep maps and checkpoints of so many iterations, which a continued job can go back to; STAR files are all kept."
    )
    from_iteration: NonNegativeInt | None = Field(None, description="With --continue: go back to the end of this iteration.")
    random_seed: NonNegativeInt = Field(0, description="Seed of the half-sets where there are none, and of the first classes.")

    @model_validator(mode="after")
    def _goes_back_in_an_earlier_job(self) -> Classify:
        if self.from_iteration is not None and not self.continue_:
            raise ValueError("--from-iteration goes back in a job that was run before: give --continue and its folder as well")
        return self

    @property
    def back_to(self) -> int | None:
        """The iteration that --from-iteration names."""
        return self.from_iteration
