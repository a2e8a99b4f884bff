from __future__ import annotations

import logging

from lib.errors import DONE, SOME_FAILED
from lib.jobs.mask import MaskExport, MaskImport, MaskResult, MaskSettings, mask
from lib.system.logs import counted, listed

logger = logging.getLogger(__name__)
NAMED = 20  # frames at most that a warning names


def run(settings: MaskSettings) -> int:
    result = mask(settings)
    if isinstance(result, MaskImport):
        return _report_import(result, settings)
    if isinstance(result, MaskExport):
        _report_export(result, settings)
    else:
        _report_made(result, settings)
    if result.unread:
        logger.warning("Frames that could not be read, whose faces have no masks: %s.",
                       listed(result.unread, NAMED))
    return SOME_FAILED if result.unread else DONE


def _report_made(result: MaskResult, settings: MaskSettings) -> None:
    if result.faces or result.unread:
        logger.info("Made masks of %s in %s.", counted(result.faces, "face"),
                    counted(result.frames, "frame"))
    else:
        logger.info("All faces had these masks before.")
    if settings.output:
        logger.info("Pictures to look at: %s", settings.output)


def _report_export(result: MaskExport, settings: MaskSettings) -> None:
    logger.info("Wrote masks of %s: %s", counted(result.faces - result.kept, "face"),
                settings.faces or settings.output)
    if result.kept:
        logger.info("Masks that were there before are left as they are, since they may be painted: "
                    "%d. Delete them, or name another folder, to write them again.", result.kept)


def _report_import(result: MaskImport, settings: MaskSettings) -> int:
    for line in result.left_out:
        logger.warning("Left out: %s", line)
    logger.info("Imported masks of %s as %s.", counted(result.faces, "face"), settings.name)
    return SOME_FAILED if result.left_out else DONE
