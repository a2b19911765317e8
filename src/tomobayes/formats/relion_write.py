"""Writing a Dataset as a RELION-5 project."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from numpy.typing import ArrayLike

from tomobayes.formats.relion_motion import write_motion
from tomobayes.formats.relion_set import OptimisationSet, write_optimisation_set
from tomobayes.formats.relion_write_particles import ExtractedImages, write_particles
from tomobayes.formats.relion_write_tomograms import write_tomograms
from tomobayes.model import Dataset

__all__ = ["Part", "write_dataset"]

Part = Literal["particles", "tomograms", "motion"]


def write_dataset(
    folder: Path | str,
    dataset: Dataset,
    *,
    what: Collection[Part] = ("particles", "tomograms", "motion"),
    members: OptimisationSet | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
    extracted: ExtractedImages | None = None,
    root: Path | None = None,
) -> Path:
    """Write particles.star, tomograms.star with tilt_series/*.star, motion.star and an optimisation set that joins them.

    What was read is written again without loss: unknown columns, row order, and the text of every cell whose meaning has not changed.

    Parameters
    ----------
    folder : where to write
    dataset : the experiment
    what : the parts to write; the optimisation set names the others where ``members`` has them
    members : files the data set was read from
    extra : result columns of the particles, label -> (P,) values
    extracted : images extracted for the particles
    root : folder that names in the files are to hold from, by default the current one

    Returns
    -------
    the path of optimisation_set.star, written last
    """
    folder = Path(folder)
    members = replace(members or OptimisationSet(), reference=dataset.reference)
    if "tomograms" in what:
        members = replace(members, tomograms=write_tomograms(folder, dataset.tilt_series, dataset.optics, root))
    if "motion" in what:
        members = replace(members, trajectories=None)
        if dataset.motion_angstrom is not None:
            members = replace(members, trajectories=folder / "motion.star")
            write_motion(folder / "motion.star", dataset.particles.name.tolist(), dataset.motion_angstrom)
    if "particles" in what:
        members = replace(members, particles=folder / "particles.star")
        write_particles(folder / "particles.star", dataset, extra=extra, extracted=extracted)
    if members.particles is None or members.tomograms is None:
        raise ValueError("an optimisation set needs particles and tomograms: write them, or give members that have them")
    path = folder / "optimisation_set.star"
    write_optimisation_set(path, members, root)
    return path
