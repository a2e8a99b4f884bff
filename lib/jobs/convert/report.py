"""What convert says when it is done, to whoever reads its log."""

from __future__ import annotations

import logging

from lib.jobs.convert.job import ConvertResult
from lib.jobs.convert.settings import ConvertSettings
from lib.system.logs import counted

logger = logging.getLogger(__name__)
FAINT = 0.1  # a warning follows where a larger share of the faces is next to invisible
MUTE = (".mpg", ".mpeg", ".bmp", ".dib")  # endings of formats that hold no metadata


def report(result: ConvertResult, settings: ConvertSettings) -> None:
    """Logs the result, and warns of what went wrong or looks wrong."""
    logger.info("Swapped %s in %d of %s in %.0f s: %s%s", counted(result.faces, "face"),
                result.frames_swapped, counted(result.frames, "frame"), result.seconds,
                result.output, " (a folder of pictures)" if result.output.is_dir() else "")
    for ending in result.unmarked:
        logger.warning("%s files hold no %s.", ending,
                       "mark of any kind: say in another way that this is synthetic"
                       if ending in MUTE
                       else "Content Credentials, only a plain statement; MP4, MOV, PNG and JPEG "
                       "hold both")
    if result.complete_before:
        logger.info(
            "Nothing was left to do: an earlier run with the same options had finished all frames.")
    elif result.reused > 0:
        logger.info("Used %s of an earlier run with the same options.",
                    counted(result.reused, "frame"))
    if result.missing_parts:
        logger.info("%s of other shards are missing. When they are there, the same command without "
                    "--shard joins all.", counted(result.missing_parts, "part"))
    if not result.faces and settings.faces == "nearest-a" and result.frames:
        logger.warning(
            "No face looked like the person to be replaced. Try --faces all, or -s/--swap-model "
            "if it is the other way round.")
    if result.faint > FAINT * result.faces:
        logger.warning(
            "%d of %s are next to invisible, because the mask is faint there or lies outside the "
            "frame. If the model has learnt little yet, train on, or choose -M hull.", result.faint,
            counted(result.faces, "face"))
    for failure in result.failures:
        logger.warning("%s", failure)
