from __future__ import annotations

import json
import logging
from collections.abc import Callable

from lib.alignments import inventory
from lib.alignments.removal import Removed
from lib.errors import DONE, SOME_FAILED
from lib.jobs.alignments import (
    AlignmentsSettings,
    Drawn,
    Exchanged,
    Merged,
    Relinked,
    Smoothed,
    alignments,
)
from lib.system.logs import counted

logger = logging.getLogger(__name__)

NAMED = 10  # frames named in a warning


def run(settings: AlignmentsSettings) -> int:
    result = alignments(settings)
    if settings.action == "report":
        print(json.dumps(result, ensure_ascii=False, indent=1) if settings.json
              else inventory.table(result))
        return DONE
    if settings.action == "remove" and settings.undo:
        logger.info("Brought back %s.", counted(result, "face"))
        return DONE
    TELL[type(result)](result, settings)
    return SOME_FAILED if isinstance(result, Drawn) and result.losses else DONE


def _tell_removed(result: Removed, settings: AlignmentsSettings) -> None:
    logger.info("Left out %s whose picture was deleted, brought back %d, kept %d. In all %d %s "
                "left out by hand; --undo brings them back.", counted(result.removed, "face"),
                result.returned, result.present, result.altogether,
                "is" if result.altogether == 1 else "are")


def _tell_drawn(result: Drawn, settings: AlignmentsSettings) -> None:
    for loss in result.losses:
        logger.warning("Incomplete input: %s", loss)
    logger.info("Drew %s: %s", counted(result.faces, "face"), settings.output)


def _tell_smoothed(result: Smoothed, settings: AlignmentsSettings) -> None:
    logger.info("Landmarks of %s in %s are %s.", counted(result.faces, "face"),
                counted(result.tracks, "track"), "without jitter now" if result.smooth
                else "as they were fitted again")


def _tell_relinked(result: Relinked, settings: AlignmentsSettings) -> None:
    logger.info("%s belongs to %s now; before, to %s.", result.alignments, result.source,
                result.before)
    if result.usual:
        logger.info("Name it with -p %s from now on, or move it to %s.", result.alignments,
                    result.usual)


def _tell_merged(result: Merged, settings: AlignmentsSettings) -> None:
    joined = result.joined
    logger.info("Joined %s: %s in %s, %s", counted(len(settings.alignments), "part"),
                counted(result.faces, "face"), counted(result.frames, "frame"), settings.output)
    if joined.differing:
        shown = ", ".join(str(index + 1) for index in joined.differing[:NAMED])
        logger.warning("In %s two parts found different faces; those of the part named first were "
                       "taken: %s%s.", counted(len(joined.differing), "frame"), shown,
                       " ..." if len(joined.differing) > NAMED else "")
    for part in joined.unfinished:
        logger.warning("%s was not searched to its end.", part)
    if joined.missing:
        logger.warning("Missing: part %s. extract on the joined file searches the frames that are "
                       "missing.", ", ".join(joined.missing))
    if not settings.input:
        logger.info("The next extract%s on it follows the faces from frame to frame.",
                    " --no-smooth" if joined.smooth is False else "")


def _tell_exchanged(result: Exchanged, settings: AlignmentsSettings) -> None:
    amount = f"{counted(result.faces, 'face')} in {counted(result.frames, 'frame')}"
    if settings.action == "export":
        logger.info("Exported %s: %s", amount, result.path)
    else:
        logger.info("Imported %s of %s. Alignments: %s", amount, settings.input.name, result.path)


TELL: dict[type, Callable[..., None]] = {
    Removed: _tell_removed, Drawn: _tell_drawn, Smoothed: _tell_smoothed, Relinked: _tell_relinked,
    Merged: _tell_merged, Exchanged: _tell_exchanged}
