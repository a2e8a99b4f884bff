from __future__ import annotations

import logging
from dataclasses import asdict

from lib.alignments.extraction.setup import Summary
from lib.alignments.left_out import count_by_reason
from lib.errors import DONE, SOME_FAILED
from lib.jobs.extract import ExtractResult, ExtractSettings, extract
from lib.system.logs import counted

logger = logging.getLogger(__name__)

LISTED = 6  # people named in the report


def run(settings: ExtractSettings) -> int:
    result = extract(settings)
    _report(result, settings)
    logger.info(_next_step(result.summary, settings),
                extra={"data": {"summary": asdict(result.summary)}})
    return SOME_FAILED if result.summary.losses else DONE


def _report(result: ExtractResult, settings: ExtractSettings) -> None:
    summary = result.summary
    logger.info("Found %s in %d of %s of %s.", counted(summary.faces, "face"),
                summary.frames_with_face, counted(summary.frames, "frame"), result.source.name)
    if summary.people:
        logger.info("%s: %s.", "1 person" if len(summary.people) == 1
                    else f"{len(summary.people)} people", "; ".join(_people(summary)))
    if summary.filled:
        logger.info("Filled in %s that the detector missed for a moment.",
                    counted(summary.filled, "face"))
    if summary.dropped:
        logger.info("Left out: %s.", count_by_reason(summary.dropped))
    logger.info(_speed(summary))
    logger.info("Alignments: %s", result.alignments)
    if settings.output:
        logger.info("Faces: %d new in %s", summary.written, settings.output)
    if result.sheet:
        logger.info("Some of them, to look at: %s", result.sheet)
    if result.profile:
        logger.info("Processor time of each stage:")
        for line in result.profile:
            logger.info("%s", line)


def _people(summary: Summary) -> list[str]:
    """"person 1: 14 faces" for the most frequent, then how many faces are left."""
    counts = list(summary.people.items())
    lines = [f"person {person}: {counted(faces, 'face')}" for person, faces in counts[:LISTED]]
    if len(counts) > LISTED:
        lines.append(f"{len(counts) - LISTED} more: "
                     f"{counted(sum(faces for _, faces in counts[LISTED:]), 'face')}")
    unknown = summary.faces + summary.dropped.get("person", 0) - sum(summary.people.values())
    if unknown > 0:
        lines.append(f"not recognized: {counted(unknown, 'face')}")
    return lines


def _speed(summary: Summary) -> str:
    if not summary.searched:
        return "All frames had been searched before."
    rate = summary.searched / max(summary.seconds, 1e-9)
    before = summary.frames - summary.searched
    return (f"Searched {counted(summary.searched, 'frame')} in {summary.seconds:.1f} s, "
            f"{rate:.{0 if rate >= 10 else 1}f} a "
            f"second{f' ({before} had been searched before)' if before else ''}.")


def _next_step(summary: Summary, settings: ExtractSettings) -> str:
    if settings.shard:
        return "Next: when all parts are done, join them with faceswap.py alignments merge."
    if not settings.output:
        return ("Next: -o FOLDER writes the faces for training; convert uses the alignments as "
                "they are.")
    if len(summary.people) > 1 and not settings.chooses_people:
        return ("Next: to train on one of these people, run this again with --person NUMBER and "
                "another -o FOLDER.")
    return f"Next: look through {settings.output}, delete what is not to be trained on, and train."
