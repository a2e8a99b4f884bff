"""Faces found in a source, kept in its alignments file, and written as aligned pictures."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from lib.alignments.extraction.extract import extract_faces
from lib.alignments.extraction.setup import ExtractionSetup, Summary
from lib.alignments.identity import embeddings_of
from lib.alignments.left_out import all_left_out
from lib.alignments.sheet import write_sheet
from lib.alignments.store import AlignmentStore, default_store
from lib.errors import FaceswapError, UsageError
from lib.faces.finding import parse_rotate
from lib.faces.likeness import PeopleFilter
from lib.facesets.folder import FaceFolder, foreign_faces
from lib.files.names import same_path
from lib.jobs.shared.options import (
    AlignmentsOptions,
    FaceSizeOptions,
    FindingOptions,
    PeopleOptions,
)
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.media.frame_range import parse_shard
from lib.options import option
from lib.plugin import Recognizer
from lib.settings import Settings
from lib.system.profile import Stages
from lib.system.progress import job
from lib.types import Shard

logger = logging.getLogger(__name__)

FEW_PICTURES = 4000  # people in them are told apart without being asked for


@dataclass(kw_only=True)
class SearchOptions(Settings):
    """Which frames are searched, and how."""

    rotate: str | None = option(
        None, "Also search turned frames, for faces that lie on their side or upside down: on (90, "
        "180 and 270 degrees), a step such as 45, a list such as 90,270 (clockwise), or off. A "
        "frame is turned only where no upright face has a high score (yunet: 0.93); each angle "
        "takes the time of another search. Default: off.", short="-r", group="Finding faces")
    extract_every_n: int = option(1, "Search every N-th frame only.", short="-N", low=1,
                                  group="Finding faces")
    shard: str | None = option(
        None, "Search one part of the frames, such as 3/16 (the third of 16), into an alignments "
        "file of its own (-p). alignments merge joins the parts.", group="Finding faces",
        rare=True)


@dataclass(kw_only=True)
class FacePictureOptions(Settings):
    """What the face pictures show."""

    size: int = option(256, "Side of the aligned faces, pixels.", short="-z", low=32, high=2048,
                       group="Face pictures")
    coverage: str = option(
        "whole", "How much of the head a face picture shows, from brows to mouth (half) to all hair "
        "(head). train takes whole or head.", choices=("half", "full", "whole", "head"),
        group="Face pictures")
    smooth: bool | None = option(
        None, "Remove the jitter of the landmarks over time, without lag. Default: yes for videos, "
        "no for pictures.", group="Face pictures")


@dataclass(kw_only=True)
class NumberedPeopleOptions(Settings):
    """Whose faces are meant, by the numbers of people who were told apart."""

    person: list[int] = option([], "Keep only these people, by the numbers that an earlier extract "
                               "printed.", low=1, group="Which faces")
    people: bool | None = option(
        None, "Tell people apart and number them. Default: yes for videos and up to 4000 pictures "
        "(10 ms a picture, some frames of each shot of a video).", group="Which faces", rare=True)
    recognizer: str = option("dlib_resnet", "Face recognizer, which tells people apart.",
                             plugin="recognizers", group="Which faces", rare=True)


@dataclass(kw_only=True)
class ExtractSettings(AlignmentsOptions, FindingOptions, FaceSizeOptions, SearchOptions,
                      FacePictureOptions, PeopleOptions, NumberedPeopleOptions):
    """Find the faces in a video, a picture or a folder of pictures, and cut them out aligned.

    All that is found is kept in an alignments file, INPUT.alignments.db. After an interruption, run
    the same command again: it resumes. Faces that you delete from the output folder stay deleted.
    """

    input: Path = option(help="Video, picture or folder of pictures.", short="-i")
    output: Path | None = option(
        None, "Folder for the aligned faces (PNG). Without it only the alignments file is written.",
        short="-o")
    masker: list[str] = option(["hull"], "Masks to make, stored with the alignments. Any number; "
                               "\"\" for none.", short="-M", plugin="maskers")
    profile: bool = option(False, "Print at the end how much processor time each stage took.",
                           rare=True)

    @property
    def chooses_people(self) -> bool:
        """Whether only some people's faces are asked for."""
        return bool(self.filter or self.nfilter or self.person)


@dataclass(frozen=True)
class ExtractResult:
    """What the alignments file holds now, and what was written."""

    source: Path  # that was searched
    alignments: Path
    summary: Summary
    sheet: Path | None = None  # the picture of some faces of each person
    profile: tuple[str, ...] = ()  # lines of a table: processor time of each stage


@job
def extract(settings: ExtractSettings) -> ExtractResult:
    """Finds the faces of `settings.input`. Raises FaceswapError where it shows none, or where all
    are left out.
    """
    # "." has no name to speak of
    source = open_source(Path(os.path.abspath(settings.input)), exact=False)
    shard = _checked(settings)
    if tool := foreign_faces(settings.input):
        logger.warning("%s holds face pictures of %s. The landmarks in their metadata are not "
                       "used: the pictures are searched for faces, as others are.", settings.input,
                       tool)
    sink = FaceFolder(settings.output) if settings.output else None
    recognizer = settings.create("recognizer") if _tells_people_apart(settings, source) else None
    stages = Stages()
    sheet = None
    with AlignmentStore.open(settings.alignments or default_store(settings.input)) as store:
        summary = extract_faces(source, store, ExtractionSetup(
            lambda: settings.create("detector"), lambda: settings.create("aligner"),
            settings.create("masker"), sink, settings.size, settings.coverage, settings.min_face,
            parse_rotate(settings.rotate), settings.extract_every_n, shard, smooth=settings.smooth,
            recognizer=recognizer, people=_people(settings, recognizer), stages=stages))
        for loss in summary.losses:
            logger.warning("Incomplete input: %s", loss)
        if not summary.faces and not shard:
            raise FaceswapError(_nothing_found(source, summary))
        if sink and summary.faces:
            sheet = sink.path.with_name(f"{sink.path.name}.sheet.png")
            write_sheet(sheet, sink, source.path, store)
    return ExtractResult(source.path, store.path, summary, sheet,
                         tuple(stages.table()) if settings.profile else ())


def _checked(settings: ExtractSettings) -> Shard | None:
    """The shard that is asked for. Raises FaceswapError where settings do not go together."""
    if settings.output and same_path(settings.input, settings.output):
        raise FaceswapError(f"Input and output are the same, {settings.input}. Name another folder "
                            "with -o.")
    if settings.ref_threshold is not None and not (settings.filter or settings.nfilter):
        raise UsageError("-l/--ref-threshold says how like a face must be to photos: name them "
                         "with -f or -n.")
    shard = parse_shard(settings.shard)
    if shard and settings.alignments is None:
        raise UsageError("--shard needs an alignments file of its own for each part: name it with "
                         "-p, such as part3.db.")
    if shard and settings.chooses_people:
        raise UsageError("--shard only searches: choose people with -f, -n or --person in the "
                         "extract after alignments merge.")
    return shard


def _tells_people_apart(settings: ExtractSettings, source: FrameSource) -> bool:
    if settings.chooses_people:
        return True
    if settings.people is None:
        return source.rate is not None or (source.count or 0) <= FEW_PICTURES
    return settings.people


def _people(settings: ExtractSettings, recognizer: Recognizer | None) -> PeopleFilter:
    """The people whose faces are kept: those of this run's settings, whatever an earlier run asked
    for.
    """
    if recognizer is None or not settings.chooses_people:
        return PeopleFilter()
    tools = settings.create("detector"), settings.create("aligner"), recognizer
    return PeopleFilter(embeddings_of(settings.filter, *tools),
                        embeddings_of(settings.nfilter, *tools), tuple(settings.person),
                        settings.ref_threshold)


def _nothing_found(source: FrameSource, summary: Summary) -> str:
    if not summary.frames:
        return (f"Not one frame of {source.path} could be read. "
                f"{'Play it' if source.rate else 'Open some'} to see what is wrong.")
    if summary.dropped:
        return all_left_out(source.path, summary.dropped)
    advice = "another --detector"
    if summary.detector == "hog":
        advice = "--detector yunet, which also finds turned and covered faces"
    return (f"No faces found in {source.path} ({summary.frames} frames). Look whether it shows "
            f"faces; then try {advice}, a lower --detector.min-score (choose the detector with "
            "-D, such as -D yunet) or a smaller --min-face.")
