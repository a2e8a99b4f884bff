"""Frames that could not be swapped: they are passed through as they were, and a run of hours goes on."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


def failure_of(error: Exception) -> str:
    """What there is to say of a frame that could not be swapped, on one line without a full stop."""
    logger.debug("A frame failed.", exc_info=error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
