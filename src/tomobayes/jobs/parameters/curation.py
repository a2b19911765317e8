"""Parameters of the verbs that choose among particles, or put them to half-sets."""

from __future__ import annotations

from typing import Annotated, ClassVar

from cyclopts import Parameter
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters
from tomobayes.particles.conditions import parse_condition
from tomobayes.particles.polygons import parse_polygon

__all__ = ["Dedupe", "Select", "SplitHalves"]

_Several = Parameter(consume_multiple=True)


class Select(DatasetParameters, JobParameters):
    """Particles that meet every condition given."""

    verb: ClassVar[str] = "select"
    folder: ClassVar[str] = "Select"

    classes: Annotated[tuple[PositiveInt, ...], _Several] = Field((), description="Particles of these classes (rlnClassNumber).")
    tilt_series: Annotated[tuple[str, ...], _Several] = Field((), description="Particles of these tilt series; * and ? stand for anything.")
    where: Annotated[tuple[str, ...], _Several] = Field(
        (),
        description="Conditions on any column, all of which must hold: 'rlnMaxValueProbDistribution>=0.1', 'tomobayesSigmaAngle<3', "
        "'rlnTomoName~TS_0*'. Operators are < <= > >= = != and, for patterns with * and ?, ~ and !~.",
    )
    within: Annotated[tuple[str, ...], _Several] = Field(
        (),
        description="Polygons over two columns, in all of which a particle must lie: 'rlnCoordinateX,rlnCoordinateY: 10,20 30,20 30,45' "
        "has three corners. The lasso of the browser writes them.",
    )
    invert: bool = Field(False, description="Keep the other particles instead.")

    @model_validator(mode="after")
    def _asks_for_something(self) -> Select:
        if not (self.classes or self.tilt_series or self.where or self.within):
            raise ValueError("say what to keep, with --classes, --tilt-series, --where or --within")
        for text in self.where:
            parse_condition(text)
        for text in self.within:
            parse_polygon(text)
        return self


class Dedupe(DatasetParameters, JobParameters):
    """One particle, the best, where several are closer than a distance."""

    verb: ClassVar[str] = "dedupe"
    folder: ClassVar[str] = "Select"

    distance: PositiveFloat = Field(description="Particles closer than this (Å), centre to centre, are the same.")
    by: str | None = Field(
        None,
        description="Column whose highest value is best; without it rlnLogLikeliContribution, rlnMaxValueProbDistribution, or the order.",
    )
    lowest: bool = Field(False, description="The lowest value of --by is best.")

    @model_validator(mode="after")
    def _lowest_of_something(self) -> Dedupe:
        if self.lowest and self.by is None:
            raise ValueError("--lowest says something about --by: give both or neither")
        return self


class SplitHalves(DatasetParameters, JobParameters):
    """Half-sets by neighbourhood, in place of those that particles may have."""

    verb: ClassVar[str] = "split-halves"
    folder: ClassVar[str] = "Select"

    particle_diameter: PositiveFloat = Field(description="Particles closer than this (Å) go to the same half.")
    duplicate_distance: NonNegativeFloat | None = Field(
        None,
        description="Particles closer than this (Å) are the same and never parted, even in a lattice; without it, a tenth of the diameter.",
    )
    random_seed: NonNegativeInt = Field(0, description="Seed of which half clusters of the same size go to.")
