"""``import``: a project of RELION 4 or 5 as native RELION-5 files."""

from __future__ import annotations

from pathlib import Path

from tomobayes.formats.relion import find_members, read_dataset, write_dataset
from tomobayes.jobs.describe import data_report, describe
from tomobayes.jobs.frame import Context
from tomobayes.jobs.parameters import ImportProject

__all__ = ["run"]


def run(parameters: ImportProject, context: Context) -> Path:
    """Read all there is, and write optimisation set, tomograms, tilt series, particles and motion."""
    members = find_members(*parameters.members)
    dataset = read_dataset(*parameters.members, require_images=False)
    folder = context.open([members.particles, members.tomograms, members.trajectories])
    description = describe(dataset)
    for line in description.sentences:
        context.log.say(line)
    write_dataset(folder, dataset, members=members)
    context.output(*(folder / name for name in ("optimisation_set.star", "tomograms.star", "particles.star")))
    context.show(data_report("Imported project", dataset, description))
    return folder
