"""The end of a job of which only the plan was wanted."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Planned"]


class Planned(Exception):  # noqa: N818 (nothing is wrong)
    """Raised in place of a folder where --plan was given, with the plan in sentences; nothing was written."""

    def __init__(self, sentences: Iterable[str]):
        self.sentences = tuple(sentences)
        super().__init__("\n".join(self.sentences))
