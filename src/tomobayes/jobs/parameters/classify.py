"""Parameters of ``classify``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.compute import ComputeParameters
from tomobayes.jobs.parameters.images import ImageParameters

__all__ = ["Classify"]


class Classify(ImageParameters, ComputeParameters):
    """Several maps, and which particle shows which, at the poses they have or together with a search of them."""

    verb: ClassVar[str] = "classify"
    folder: ClassVar[str] = "Class3D"

    free_to_change: ClassVar[frozenset[str]] = ComputeParameters.free_to_change | {"keep_iterations", "from_iteration"}
    not_recorded: ClassVar[frozenset[str]] = ComputeParameters.not_recorded | {"from_iteration"}
    may_change: ClassVar[frozenset[str]] = frozenset({"mask", "focus_mask", "align_mask", "tau2_fudge", "max_iter", "strict_highres_exp"})

    particle_diameter: PositiveFloat = Field(
        description="Diameter (Å) of the particle: final maps are expected in that sphere, and in the mask where it reaches further."
    )
    k: PositiveInt = Field(2, description="Number of classes.", ge=2, le=50)
    mask: Path | None = Field(None, description="Soft solvent mask, 0 to 1; without it, a sphere of the particle's diameter.")
    focus_mask: Path | None = Field(
        None, description="Where classes may differ, 0 to 1, inside the solvent mask: all share one map elsewhere; without it, everywhere."
    )
    sym: str = Field("C1", description="Point group: Cn, Dn, T, O or I, axes as in RELION.")
    align: Literal["none", "local", "global"] = Field(
        "none", description="Take poses as given, or sum over them as well: around the given ones, or everywhere until they settle."
    )
    sigma_ang: PositiveFloat | None = Field(
        None, description="With --align local: width (degrees) of the prior around the given orientations; 5 without it."
    )
    offset_range: PositiveFloat | None = Field(None, description="Largest shift tried at first (Å); without it, 5 binned pixels.")
    offset_sigma: PositiveFloat = Field(10.0, description="Width (Å, per axis) of the first prior on shifts.")
    healpix_order: int = Field(2, ge=0, le=5, description="With --align global: order of the first search, a step of 60°/2^order.")
    align_mask: Path | None = Field(
        None, description="Find poses with this part of the map of all classes, 0 to 1; without it, with all of every class."
    )
    start: Literal["subspace", "random", "climb"] = Field(
        "subspace",
        description="First classes: from the directions in which particles differ most (PCA at their poses), at random, or at random "
        "and then by stochastic hill climbing with annealing.",
    )
    restarts: PositiveInt = Field(
        5, description="With --start random or climb: of so many runs the one that explains the images best; how many agree is told, too."
    )
    temperature: float = Field(
        0.1, ge=0, le=1, description="With --start climb: probability of taking a worse class or pose at first; it falls to zero."
    )
    subset: float = Field(0.5, gt=0, le=1, description="With --start climb: share of the particles that look for a better place each time.")
    climb_iter: PositiveInt = Field(15, description="With --start climb: iterations of hill climbing in each run.")
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

    @model_validator(mode="after")
    def _changes_something(self) -> Classify:
        needed = {
            "a search of poses (--align)": (self.align != "none", ("offset_range", "offset_sigma", "align_mask")),
            "--align local": (self.align == "local", ("sigma_ang",)),
            "--align global": (self.align == "global", ("healpix_order",)),
            "--start random or climb": (self.start != "subspace", ("restarts",)),
            "--start climb": (self.start == "climb", ("temperature", "subset", "climb_iter")),
        }
        for asked, (there, names) in needed.items():
            idle = [self.option(name) for name in names if getattr(self, name) != type(self).model_fields[name].default]
            if idle and not there:
                raise ValueError(f"{', '.join(idle)} would change nothing without {asked}: give that, too, or leave it out")
        return self

    @property
    def back_to(self) -> int | None:
        """The iteration that --from-iteration names."""
        return self.from_iteration
