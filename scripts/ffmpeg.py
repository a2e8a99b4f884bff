from __future__ import annotations

import json
import logging

from lib.errors import DONE, SOME_FAILED
from lib.jobs.ffmpeg import FfmpegSettings, ffmpeg
from lib.system.logs import counted

logger = logging.getLogger(__name__)


def run(settings: FfmpegSettings) -> int:
    result = ffmpeg(settings)
    if result.facts:
        facts = result.facts[0] if len(result.facts) == 1 else result.facts
        print(json.dumps(facts, ensure_ascii=False, indent=1))
    elif result.written.command:
        print(result.written.command)
    else:
        written = result.written
        logger.info("Wrote %s, %dx%d: %s", counted(written.frames, "frame"), *written.size,
                    written.output)
        for loss in written.losses:
            logger.warning("Incomplete input: %s", loss)
    return DONE if result.is_complete else SOME_FAILED
