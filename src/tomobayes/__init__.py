"""Bayesian structure determination from cryo-electron tomography tilt series.

Each command is a function that takes its typed parameters and gives the folder it filled:
``tomobayes.postprocess(tomobayes.Postprocess(i="Refine3D/job004", mask="mask.mrc"))``.
"""

import os

# Threads that wait for others sleep instead of spinning: on a machine that others use too, spinning more than doubles the time.
# OpenMP reads this when PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from tomobayes.jobs.parameters import (
    ClusterSubmit,
    Extract,
    ImportProject,
    Info,
    LocalResolution,
    Mask,
    Postprocess,
    Reconstruct,
    Refine,
    Simulate,
)
from tomobayes.jobs.verbs import (
    cluster_submit,
    extract,
    import_project,
    info,
    local_resolution,
    mask,
    postprocess,
    reconstruct,
    refine,
    simulate,
)
from tomobayes.model import BadInput

__all__ = [
    "BadInput",
    "ClusterSubmit",
    "Extract",
    "ImportProject",
    "Info",
    "LocalResolution",
    "Mask",
    "Postprocess",
    "Reconstruct",
    "Refine",
    "Simulate",
    "cluster_submit",
    "extract",
    "import_project",
    "info",
    "local_resolution",
    "mask",
    "postprocess",
    "reconstruct",
    "refine",
    "simulate",
]
