from __future__ import annotations

import logging

from lib.errors import DONE, SOME_FAILED
from lib.facesets.packed import in_words
from lib.jobs.faces import FaceSetReport, FacesSettings, faces
from lib.system.logs import counted, listed
from lib.words import escaped

logger = logging.getLogger(__name__)


def run(settings: FacesSettings) -> int:
    result = faces(settings)
    for report in result.reports:
        _print_report(report)
    if result.unpacked is not None:
        logger.info("Unpacked %s into %s.", counted(result.unpacked, "face"), settings.output)
    if result.packing is None:
        return DONE
    if result.not_faces:
        logger.warning("Not packed, since they are no faces: %s.", listed(result.not_faces))
    for error in result.packing.left_out:
        logger.warning("Left out: %s", error)
    logger.info("Packed %s into %s, %s.", counted(result.packing.count, "face"), settings.output,
                in_words(result.packing.size))
    return SOME_FAILED if result.packing.left_out else DONE


def _print_report(report: FaceSetReport) -> None:
    print(escaped(f"{report.path}: {counted(report.count, 'face')} ({'; '.join(report.kinds)}) "
                  f"from {counted(report.sources, 'source')}"))
    for problem in report.problems or ["No problems found."]:
        print(escaped(f"  {problem}"))
