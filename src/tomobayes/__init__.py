"""Bayesian structure determination from cryo-electron tomography tilt series.

Each command is a function that takes its typed parameters and gives the folder it filled:
``tomobayes.postprocess(tomobayes.Postprocess(i="Refine3D/job004", mask="mask.mrc"))``.
"""

from tomobayes.jobs.parameters import ImportProject, Info, Mask, Postprocess, Simulate
from tomobayes.jobs.verbs import import_project, info, mask, postprocess, simulate
from tomobayes.model import BadInput

__all__ = [
    "BadInput",
    "ImportProject",
    "Info",
    "Mask",
    "Postprocess",
    "Simulate",
    "import_project",
    "info",
    "mask",
    "postprocess",
    "simulate",
]
