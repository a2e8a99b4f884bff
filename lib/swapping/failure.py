"""Frames that fail. Whatever a network or a plugin raises, a run of hours does not end at one
frame.

Every stage of `pipeline.py` takes and returns a `Staged` frame and is `guarded`: what it raises
becomes the `failure` of that frame, which has no faces from there on, so that later stages pass it
on and it is written unchanged. `Finished.failure` tells convert, which names the frame in its log
and in OUTPUT.run.json, ends with exit code 3, and tries the frame again in the next run
(`lib/jobs/convert/resuming.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, TypeVar

from lib.types import Frame

logger = logging.getLogger(__name__)

FaceKind = TypeVar("FaceKind")


@dataclass(frozen=True)
class Staged(Generic[FaceKind]):
    """A frame on its way through the stages, with its faces as far as they are; none where it
    failed."""

    frame: Frame
    faces: Sequence[FaceKind]
    failure: str = ""  # why, on one line

    def failed(self, error: Exception) -> Staged[Any]:
        return Staged(self.frame, [], failure_of(error))


def guarded(stage: Callable[..., Staged]) -> Callable[..., Staged]:
    """A stage whose last argument is a `Staged` frame: what it raises becomes the failure of the
    frame."""

    @wraps(stage)
    def run(*arguments: Any) -> Staged:
        staged: Staged = arguments[-1]
        if staged.failure:
            return staged
        try:
            return stage(*arguments)
        except Exception as error:
            return staged.failed(error)

    return run


def failure_of(error: Exception) -> str:
    """The first line of what an error says, without a full stop."""
    logger.debug("A frame failed.", exc_info=error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
