from __future__ import annotations

import logging

from lib.errors import DONE, SOME_FAILED
from lib.jobs.convert.job import convert
from lib.jobs.convert.preview import preview
from lib.jobs.convert.report import report
from lib.jobs.convert.settings import ConvertSettings
from lib.system.logs import counted

logger = logging.getLogger(__name__)


def run(settings: ConvertSettings) -> int:
    if settings.preview is not None or settings.try_:
        result = preview(settings)
        logger.info("%s, to look at: %s", counted(result.frames, "frame"), result.sheet)
        return DONE
    result = convert(settings)
    report(result, settings)
    return SOME_FAILED if result.failures else DONE
