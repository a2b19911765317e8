"""How a verb is told which experiment to work on."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from tomobayes.jobs.parameters.base import Parameters

__all__ = ["DatasetParameters"]


class DatasetParameters(Parameters):
    """An optimisation set (or the folder of a job that wrote one), and files that take the place of its members."""

    i: Path | None = Field(None, description="Optimisation set, or folder of an earlier job.")
    p: Path | None = Field(None, description="Particle file, in place of the set's.")
    t: Path | None = Field(None, description="Tomogram file, in place of the set's.")
    mot: Path | None = Field(None, description="Trajectory (motion) file, in place of the set's; 'none' to go without.")

    @model_validator(mode="after")
    def _names_an_experiment(self) -> DatasetParameters:
        if self.i is None and (self.p is None or self.t is None):
            raise ValueError("give an optimisation set or a job's folder with --i, or particles with --p and tomograms with --t")
        return self

    @property
    def members(self) -> tuple[Path | None, Path | None, Path | None, Path | str | None]:
        """What `read_dataset` wants first: optimisation set, particles, tomograms, trajectories."""
        return self.i, self.p, self.t, "none" if self.mot == Path("none") else self.mot
