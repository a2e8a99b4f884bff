from __future__ import annotations

import logging
import time

from lib.errors import DONE, SOME_FAILED
from lib.jobs.translate.job import translate
from lib.jobs.translate.settings import TranslateSettings
from lib.system.logs import counted

logger = logging.getLogger(__name__)


def run(settings: TranslateSettings) -> int:
    began = time.monotonic()
    result = translate(settings)
    if result.complete_before:
        logger.info(
            "Nothing was left to do: an earlier run with the same options had finished everything.")
    logger.info("Translated %s in %.0f s: %s", counted(result.count, result.unit), time.monotonic()
                - began, result.output)
    for ending in result.unmarked:
        logger.warning("%s files hold no Content Credentials. PNG and JPEG do.", ending)
    for failure in result.failures:
        logger.warning("%s", failure)
    return SOME_FAILED if result.failures else DONE
