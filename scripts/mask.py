from __future__ import annotations

import logging

from lib.errors import DONE, SOME_FAILED
from lib.jobs.mask import MaskSettings, mask
from lib.system.logs import counted, listed

logger = logging.getLogger(__name__)
NAMED = 20  # frames at most that a warning names


def run(settings: MaskSettings) -> int:
    result = mask(settings)
    if result.faces or result.unread:
        logger.info("Made masks of %s in %s.", counted(result.faces, "face"),
                    counted(result.frames, "frame"))
    else:
        logger.info("All faces had these masks before.")
    if settings.output:
        logger.info("Pictures to look at: %s", settings.output)
    if result.unread:
        logger.warning("Frames that could not be read, whose faces have no masks: %s.",
                       listed(result.unread, NAMED))
    return SOME_FAILED if result.unread else DONE
