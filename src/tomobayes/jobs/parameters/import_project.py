"""Parameters of ``import``."""

from __future__ import annotations

from typing import ClassVar

from tomobayes.jobs.parameters.base import JobParameters
from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["ImportProject"]


class ImportProject(DatasetParameters, JobParameters):
    """A project of RELION 4 or 5, written anew as RELION 5 has it, with everything that was in it."""

    verb: ClassVar[str] = "import"
    folder: ClassVar[str] = "Import"
