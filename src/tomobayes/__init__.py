"""Bayesian structure determination from cryo-electron tomography tilt series.

Each command is a function that takes its typed parameters and gives the folder it filled:
``tomobayes.postprocess(tomobayes.Postprocess(i="Refine3D/job004", mask="mask.mrc"))``.
"""

import os

# Threads that wait for others sleep instead of spinning: on a machine that others use too, spinning more than doubles the time.
# OpenMP reads this when PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# NumPy's and SciPy's own BLAS solves small systems only, faster in one thread; further ones would spin beside PyTorch's. Like the above
# it is read when the library is first imported, and handed on to child processes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tomobayes.jobs import parameters, verbs
from tomobayes.jobs.parameters import *
from tomobayes.jobs.verbs import *
from tomobayes.model import BadInput

__all__ = ["BadInput"]
__all__ += parameters.__all__
__all__ += verbs.__all__
