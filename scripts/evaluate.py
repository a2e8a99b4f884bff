from __future__ import annotations

import logging
import time

from lib.errors import DONE, SOME_FAILED
from lib.evaluation.reports import set_report, swap_report
from lib.files.names import same_path
from lib.jobs.evaluate import EvaluateSettings, evaluate, evaluate_faces, write_line_up
from lib.system.logs import counted
from lib.words import escaped

logger = logging.getLogger(__name__)


def run(settings: EvaluateSettings) -> int:
    if settings.faces:
        return _tell_faces(settings)
    return _tell_line_up(settings) if settings.line_up else _tell_swap(settings)


def _tell_swap(settings: EvaluateSettings) -> int:
    began = time.monotonic()
    result = evaluate(settings)
    if same_path(settings.original, settings.swapped):
        logger.warning("Both are %s: everything but the share of swapped frames is perfect.",
                       settings.original)
    if settings.compare and same_path(settings.swapped, settings.compare):
        logger.warning("%s is compared with itself.", settings.compare)
    clip = result.clip
    print(swap_report.table(clip))
    if result.compared:
        print(f"\n{escaped(settings.swapped)} against {escaped(settings.compare)}\n"
              f"{swap_report.comparison(result.compared.differences)}")
    if clip.frames and len(clip.unswapped) == len(clip.frames):
        logger.warning("Not one face was changed: the numbers are those of the original itself.")
    if len(clip.lost) > len(clip.frames) / 2:
        logger.warning("In %d of %s no face is found where the original's was.", len(clip.lost),
                       counted(len(clip.frames), "frame"))
    logger.info("Measured %s, %d with a face, in %.0f s.", counted(clip.frame_count, "frame"),
                len(clip.frames), time.monotonic() - began)
    if result.report:
        logger.info("Report: %s", result.report)
    for loss in result.losses:
        logger.warning("Incomplete input: %s", loss)
    return SOME_FAILED if result.losses else DONE


def _tell_faces(settings: EvaluateSettings) -> int:
    result = evaluate_faces(settings)
    print(set_report.table(result.scores))
    if result.report:
        logger.info("Report: %s", result.report)
    return DONE


def _tell_line_up(settings: EvaluateSettings) -> int:
    line_up = write_line_up(settings)
    logger.info("%s in %s, half of them swapped. Ask people which are real, then compare with %s. "
                "Who gets no more than half of them right might as well toss a coin.",
                counted(len(line_up.pictures), "picture"), settings.line_up, line_up.key)
    return DONE
