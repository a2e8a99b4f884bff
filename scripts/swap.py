from __future__ import annotations

import logging

from lib.errors import DONE, SOME_FAILED
from lib.jobs.swap import SwapSettings, quick_look, swap
from lib.system.logs import duration

logger = logging.getLogger(__name__)


def run(settings: SwapSettings) -> int:
    if settings.quick_look is not None:
        look = quick_look(settings)
        logger.info("%s", look.verdict)
        for fault in look.faults:
            logger.info("  %s", fault)
        logger.info("Faces of A, and below each what B's pictures alone make of it, without any "
                    "training: %s", look.picture)
        logger.info(
            "Training adds expressions and light that these pictures lack. Run the same command "
            "without --quick-look.")
        return DONE
    result = swap(settings)
    if result.seconds:
        logger.info("Done in %s (%s).", duration(sum(result.seconds.values())),
                    ", ".join(f"{name} {duration(seconds)}"
                              for name, seconds in result.seconds.items()))
    else:
        logger.info("Everything was done before.")
    logger.info("Result:  %s", result.output)
    logger.info("Preview: %s", result.preview)
    logger.info("Not sharp enough yet? Run it again with more --minutes or -i: training resumes.")
    return DONE if result.good else SOME_FAILED
