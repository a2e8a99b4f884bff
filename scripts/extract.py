from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lib.alignments.extraction import Summary
from lib.alignments.extraction import extract as find_faces
from lib.alignments.identity import Wanted, embeddings_of
from lib.alignments.sheet import write_sheet
from lib.alignments.store import BACK, DROPPED, AlignmentStore, default_store
from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.faces.finding import angles_of
from lib.facesets.folder import FaceFolder, foreign_faces
from lib.files.names import same_path
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.media.frame_range import shard_of
from lib.options import option
from lib.plugin import Recognizer
from lib.settings import Settings
from lib.system.logs import counted
from lib.system.profile import Stages
from lib.types import Shard

logger = logging.getLogger(__name__)

FEW_PICTURES = 4000  # people in them are told apart without being asked for
LISTED = 6  # people named in the report


def run(options: Extract) -> int:
    summary, code = extracted(options)
    logger.info(_next(summary, options), extra={"data": {"summary": asdict(summary)}})
    return code


def extracted(options: Extract) -> tuple[Summary, int]:
    """What was found, and the exit code."""
    source = open_source(Path(os.path.abspath(options.input)), exact=False)  # "." has no name to speak of
    if tool := foreign_faces(options.input):
        logger.warning("%s holds face pictures of %s. What their metadata says of the faces is not read: they are searched for faces, as "
                       "other pictures are.", options.input, tool)
    if options.output and same_path(options.input, options.output):
        raise FaceswapError(f"Input and output are the same, {options.input}. Name another folder with -o.")
    if options.ref_threshold is not None and not (options.filter or options.nfilter):
        raise UsageError("-l/--ref-threshold says how like a face must be to photos: name them with -f or -n.")
    shard = _shard(options)
    sink = FaceFolder(options.output) if options.output else None
    recognizer = options.create("recognizer") if _tells_people_apart(options, source) else None
    stages = Stages()
    with AlignmentStore.open(options.alignments or default_store(options.input)) as store:
        summary = find_faces(source, store, lambda: options.create("detector"), lambda: options.create("aligner"), sink=sink,
                             maskers=options.create("masker"), size=options.size, coverage=options.coverage,
                             every=options.extract_every_n, min_face=options.min_face, smooth=options.smooth,
                             rotate=angles_of(options.rotate), recognizer=recognizer, wanted=_wanted(options, recognizer),
                             shard=shard, stages=stages)
        for loss in summary.losses:
            logger.warning("Incomplete input: %s", loss)
        if not summary.faces and not shard:
            raise FaceswapError(_nothing_found(source, summary, options))
        _tell(source, summary, store.path, options)
        if sink and summary.faces:
            sheet = sink.path.with_name(f"{sink.path.name}.sheet.png")
            write_sheet(sheet, sink, source.path, store)
            logger.info("Some of them, to look at: %s", sheet)
        if options.profile:
            for line in ["Processor time of each stage:", *stages.table()]:
                logger.info("%s", line)
    return summary, SOME_FAILED if summary.losses else DONE


def _shard(options: Extract) -> Shard | None:
    shard = shard_of(options.shard)
    if shard is None:
        return None
    if options.alignments is None:
        raise UsageError("--shard needs an alignments file of its own for each part: name it with -p, such as part3.db.")
    if options.filter or options.nfilter or options.person:
        raise UsageError("--shard searches only: choose people with -f, -n or --person in the extract after alignments merge.")
    return shard


def _tells_people_apart(options: Extract, source: FrameSource) -> bool:
    if options.filter or options.nfilter or options.person:
        return True
    if options.people is None:
        return source.rate is not None or (source.count or 0) <= FEW_PICTURES
    return options.people


def _wanted(options: Extract, recognizer: Recognizer | None) -> Wanted:
    """Whose faces are asked for: what is seen in the command is what holds."""
    if recognizer is None or not (options.filter or options.nfilter or options.person):
        return Wanted()
    tools = options.create("detector"), options.create("aligner"), recognizer
    return Wanted(embeddings_of(options.filter, *tools), embeddings_of(options.nfilter, *tools), options.person, options.ref_threshold)


def _nothing_found(source: FrameSource, summary: Summary, options: Extract) -> str:
    if not summary.frames:
        return (f"Not one frame of {source.path} could be read. "
                f"{'Play it to see whether it is whole' if source.rate else 'Open its pictures to see whether they are whole'}.")
    if summary.dropped:
        return all_left_out(source, summary)
    others = "--detector yunet, which also finds turned and covered faces" if summary.detector == "hog" else "another --detector"
    return (f"No faces found in {source.path} ({summary.frames} frames). Look whether it shows faces; then try {others}, "
            "a lower --detector.min-score or a larger --detector.search.")


def all_left_out(source: FrameSource, summary: Summary) -> str:
    """What to say where faces were found, and none of them is to be used."""
    number = sum(summary.dropped.values())
    return (f"{'The only face' if number == 1 else f'All {number} faces'} of {source.path} {'is' if number == 1 else 'are'} left out: "
            f"{_left_out(summary)}. {'. '.join(BACK[reason] for reason in summary.dropped)}.")


def _tell(source: FrameSource, summary: Summary, store: Path, options: Extract) -> None:
    logger.info("Found %s in %d of %s of %s.", counted(summary.faces, "face"), summary.frames_with_face,
                counted(summary.frames, "frame"), source.path.name)
    if summary.people:
        shown = [f"person {person}: {counted(faces, 'face')}" for person, faces in list(summary.people.items())[:LISTED]]
        rest = sum(list(summary.people.values())[LISTED:])
        more = [f"{len(summary.people) - LISTED} more: {counted(rest, 'face')}"] if rest else []
        nobodys = summary.faces + summary.dropped.get("person", 0) - sum(summary.people.values())
        more += [f"nobody in particular: {counted(nobodys, 'face')}"] if nobodys > 0 else []
        logger.info("%s: %s.", "1 person" if len(summary.people) == 1 else f"{len(summary.people)} people", "; ".join(shown + more))
    if summary.filled:
        logger.info("Filled in %s that the detector missed for a moment.", counted(summary.filled, "face"))
    if summary.dropped:
        logger.info("Left out: %s.", _left_out(summary))
    if summary.searched:
        rate = summary.searched / max(summary.seconds, 1e-9)
        shown = f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"
        before = f" ({summary.frames - summary.searched} had been searched before)" if summary.searched < summary.frames else ""
        logger.info("Searched %s in %.1f s, %s a second%s.", counted(summary.searched, "frame"), summary.seconds, shown, before)
    else:
        logger.info("All frames had been searched before.")
    logger.info("Alignments: %s", store)
    if options.output:
        logger.info("Faces: %d new in %s", summary.written, options.output)


def _left_out(summary: Summary) -> str:
    return ", ".join(f"{count} {DROPPED[reason]}" for reason, count in summary.dropped.items())


def _next(summary: Summary, options: Extract) -> str:
    """What to do next."""
    if options.shard:
        return "Next: when all parts are done, join them with faceswap.py alignments merge."
    if not options.output:
        return "Next: -o FOLDER writes the faces for training; convert uses the alignments as they are."
    if len(summary.people) > 1 and not (options.filter or options.nfilter or options.person):
        return "Next: to train on one of these people, run this again with --person NUMBER and another -o FOLDER."
    return f"Next: look through {options.output}, delete what is not to be trained on, and train."


@dataclass(kw_only=True)
class Extract(Settings):
    """Find the faces in a video, a picture or a folder of pictures, and cut them out aligned.

    What was found is kept in an alignments file as the work goes on; run the same command again after an
    interruption and it goes on where it stopped. Faces that you delete from the output folder stay deleted.
    """

    input: Path = option(help="Video, picture or folder of pictures.", short="-i")
    output: Path | None = option(None, "Folder for the aligned faces (PNG); without it only the alignments are kept.", short="-o")
    alignments: Path | None = option(None, "Alignments file; INPUT.alignments.db beside the input if not given.", short="-p")
    detector: str = option("auto", "Finds the faces.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "Fits the landmarks.", short="-A", plugin="aligners")
    masker: list[str] = option(["hull"], "Say which pixels are face; any number, none with \"\".", short="-M", plugin="maskers")
    extract_every_n: int = option(1, "Take every N-th frame only.", short="-N", low=1)
    size: int = option(256, "Side of the aligned faces, pixels.", short="-z", low=32, high=2048)
    coverage: str = option("whole", "How much of the head a face picture shows; training takes whole or head.",
                           choices=("half", "full", "whole", "head"))
    smooth: bool | None = option(None, "Take the jitter out of the landmarks, per face and shot, without lag; by default in videos.")
    min_face: int | None = option(None, "The smallest face looked for, brows to chin, in pixels of the frame; smaller ones are left out. "
                                        "By default frames are searched at 640 pixels, where yunet finds faces of 20 (hog 36, mmod 72): of "
                                        "60 in a 1080p frame. With 20 it finds those of 20 in any frame, in tiles: at 1080p detection "
                                        "takes about 15 times as long; 200 saves time.", low=0)
    rotate: str | None = option(None, "Look for faces that lie on their side or upside down, too, by turning frames: on (90, 180 and 270 "
                                      "degrees), a step such as 45, a list such as 90,270 (clockwise), or off. Frames are turned where no "
                                      "face was found that surely stands upright; each angle takes the time of another search.", short="-r")
    filter: list[Path] = option([], "Keep only the faces of these people: pictures, folders, videos or extracted faces, the "
                                    "largest face of each picture.", short="-f")
    nfilter: list[Path] = option([], "Leave out the faces of these people, named likewise.", short="-n")
    ref_threshold: float | None = option(None, "How like a face must be to those of -f and -n, a cosine: higher is stricter; 1 the same "
                                               "picture, about 0 two people. By default that of the recognizer: 0.57 for dlib_resnet.",
                                         short="-l", low=-1.0, high=1.0)
    person: list[int] = option([], "Keep only these people, by the numbers that an earlier run of extract gave them.", low=1)
    people: bool | None = option(None, "Tell people apart and number them; by default in videos and in up to 4000 pictures "
                                       "(10 ms a picture, some frames of each shot of a video).")
    recognizer: str = option("dlib_resnet", "Tells people apart.", plugin="recognizers")
    shard: str | None = option(None, "Search a part of the frames only, such as 3/16, with an alignments file of its own (-p); "
                                     "alignments merge joins the parts.")
    profile: bool = option(False, "Say at the end which stage took how much of the processor's time.")
