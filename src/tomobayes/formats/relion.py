"""RELION projects <-> Dataset: the one module that other rooms import."""

from tomobayes.formats.relion_read import find_members, read_dataset
from tomobayes.formats.relion_set import OptimisationSet, find_optimisation_set, read_optimisation_set, write_optimisation_set
from tomobayes.formats.relion_tomograms import read_tomograms
from tomobayes.formats.relion_write import write_dataset
from tomobayes.formats.relion_write_particles import ExtractedImages, write_particles
from tomobayes.formats.relion_write_tomograms import write_tomograms

__all__ = [
    "ExtractedImages",
    "OptimisationSet",
    "find_members",
    "find_optimisation_set",
    "read_dataset",
    "read_optimisation_set",
    "read_tomograms",
    "write_dataset",
    "write_optimisation_set",
    "write_particles",
    "write_tomograms",
]
