"""Plain typed data shared by every room; imports nothing of the project."""

from tomobayes.model.dataset import Columns, Dataset, Optics, Particles, Reference, Subtraction, TiltSeries
from tomobayes.model.deformation import Deformation, DeformationKind
from tomobayes.model.images import Images, ParticleStacks, PseudoSubtomogram, PseudoSubtomograms
from tomobayes.model.maps import Map
from tomobayes.model.problems import BadInput, Problem

__all__ = [
    "BadInput",
    "Columns",
    "Dataset",
    "Deformation",
    "DeformationKind",
    "Images",
    "Map",
    "Optics",
    "ParticleStacks",
    "Particles",
    "Problem",
    "PseudoSubtomogram",
    "PseudoSubtomograms",
    "Reference",
    "Subtraction",
    "TiltSeries",
]
