from __future__ import annotations

import logging

from lib.errors import DONE, SOME_FAILED, FaceswapError
from lib.gathering.report import DUPLICATE, FAILED, LEFT_OUT
from lib.jobs.gather import GatherSettings, gather
from lib.system.logs import counted

logger = logging.getLogger(__name__)
NAMED = 20  # failed addresses at most that are named
OUTCOMES = {DUPLICATE: "with the same content as another", LEFT_OUT: "left out", FAILED: "failed"}


def run(settings: GatherSettings) -> int:
    result = gather(settings)
    for entry in result.failed[:NAMED]:
        logger.warning("%s: %s.", entry.address, entry.error)
    if len(result.failed) > NAMED:
        logger.warning("%d more failed; %s says why.", len(result.failed) - NAMED, result.report)
    if len(result.failed) == len(result.entries):
        raise FaceswapError(f"Nothing of {settings.input} could be downloaded. {result.report} "
                            "says why, for each address.")
    rest = {"deleted since the download (--again repeats it)": result.deleted}
    rest |= {words: result.count(status) for status, words in OUTCOMES.items()}
    logger.info("%s in %s%s.", counted(result.files, "file"), settings.output,
                "".join(f", {count} {words}" for words, count in rest.items() if count))
    return SOME_FAILED if result.failed else DONE
