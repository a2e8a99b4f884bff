from __future__ import annotations

import logging

from lib.errors import DONE
from lib.jobs.demo import DemoSettings, demo

logger = logging.getLogger(__name__)


def run(settings: DemoSettings) -> int:
    result = demo(settings)
    logger.info("Done in %.1f minutes. To look at:", result.seconds / 60)
    logger.info("  %s  the swapped video (a synthetic picture of a person: say so where you show "
                "it)", result.video)
    logger.info("  %s  frames of it below the original ones", result.sheet)
    logger.info("  %s  what the model learnt", result.training)
    return DONE
