"""The options of convert."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.jobs.shared.options import (
    AlignmentsOptions,
    CheckpointOptions,
    CompositingOptions,
    ExemplarsOptions,
    FacesOptions,
    FindingOptions,
    LabelOptions,
    PeopleOptions,
    ProvenanceOptions,
    WriterOptions,
)
from lib.options import option
from lib.settings import Settings


@dataclass(kw_only=True)
class EnhanceOptions(Settings):
    """A network that draws faces again."""

    enhance: Path | None = option(
        None,
        "TOML file of an ONNX network of your own that enlarges or restores faces (docs/onnx.md).",
        group="Detail", rare=True)
    enhance_strength: float = option(
        1.0, "Strength of --enhance.", low=0.0, high=1.0, group="Detail", rare=True)


@dataclass(kw_only=True)
class ConvertSettings(FacesOptions, PeopleOptions, CompositingOptions, ExemplarsOptions,
                      EnhanceOptions, WriterOptions, CheckpointOptions, AlignmentsOptions,
                      FindingOptions, LabelOptions, ProvenanceOptions):
    """Replace the faces in a video or in pictures by what a trained model draws.

    Every frame of the input is written; only the faces change. Sound, subtitles and chapters of a
    video are kept. Faces that extract has not found before are found first and stored. After an
    interruption, run the same command again: finished frames are used. OUTPUT.run.json tells how
    the output was made.
    """

    input: Path = option(help="Video, folder of pictures, or picture.", short="-i")
    output: Path = option(help="Video to write, or folder for pictures.", short="-o")
    model_dir: Path | None = option(
        None, "Folder of the trained model. Required unless --swap names several.", short="-m")
    swap_model: bool = option(False, "Swap the other way round: put A's face on B.", short="-s")
    preview: int | None = option(
        None, "Write only a sheet of N sample frames: beside the output, or there if its name is a "
        "picture's.", low=1, high=60)
    try_: list[str] = option(
        [],
        "Preview with a row for each setting, such as color=reinhard,linear blender=alpha,pyramid.")
    swap: list[str] = option(
        [], "Several models in one run, instead of -m: WHO=MODEL, where WHO is a person's number "
        "from extract or a photo, such as 1=MODEL_X photo.jpg=MODEL_Y.", group="Model")
    morph: float | None = option(
        None, "How far to change towards B's face, for models that can (amp). Default: 0.75.",
        low=0.0, high=1.0, group="Model", rare=True)
    track: list[int] | None = option(
        None, "Only these tracks, by the numbers that alignments draw shows.", group="Which faces",
        rare=True)
    person: list[int] | None = option(
        None, "Only these people, by their numbers from extract.", group="Which faces")
    aligned_dir: Path | None = option(
        None,
        "Only faces whose pictures, as extract wrote them, are in this folder: delete those to "
        "leave out.", short="-a", group="Which faces", rare=True)
    unsure: bool = option(
        False, "Also swap faces that are turned away or covered so far that the aligner is not "
        "sure of their landmarks.", group="Which faces", rare=True)
    recognizer: str | None = option(
        None, "Recognizer that compares faces with the photos. Default: the one that extract used.",
        plugin="recognizers", group="Which faces", rare=True)
    from_: str | None = option(
        None, "Start at this time of the video: seconds, MM:SS or HH:MM:SS.",
        group="Frames and output")
    to: str | None = option(None, "End at this time.", group="Frames and output")
    frames: str | None = option(
        None, "Swap only in these frames, counted from 1: 10-50,90-100. The others are written "
        "unchanged.", group="Frames and output")
    shard: str | None = option(
        None,
        "Convert one part of the frames, such as 3/16, on one of several machines that write to "
        "one output. Run extract first.", group="Frames and output", rare=True)
    keep_interlaced: bool = option(
        False,
        "Keep the fields of interlaced video outside the faces. Otherwise frames are deinterlaced.",
        group="Frames and output", rare=True)
