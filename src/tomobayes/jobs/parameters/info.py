"""Parameters of ``info``."""

from __future__ import annotations

from typing import ClassVar

from tomobayes.jobs.parameters.dataset import DatasetParameters

__all__ = ["Info"]


class Info(DatasetParameters):
    """What was understood of an experiment. Writes nothing."""

    verb: ClassVar[str] = "info"
