from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from lib.cli import Command
from lib.errors import DONE, SOME_FAILED, FaceswapError, UsageError
from lib.faces.extraction import extract
from lib.faces.masking import MaskedFace, check_stored, usable
from lib.faces.store import AlignmentStore, default_store
from lib.logs import counted
from lib.media.base import FrameSink, FrameSource
from lib.media.sink import writer_for
from lib.media.source import open_source
from lib.options import nearest as nearest_name
from lib.options import option
from lib.parallel import prefetch
from lib.plugin import ALIGNERS, MASKERS, RECOGNIZERS, REGISTRIES, Masker
from lib.progress import progress
from lib.swapping.composite import Compositor
from lib.swapping.eyes import EyesFollow
from lib.swapping.pipeline import Choose, largest, nearest, swap_frames
from lib.training.swapper import Swapper, load_swapper
from scripts.extract import all_left_out

logger = logging.getLogger(__name__)
PREDICTED = "predicted"  # the mask that the model made, in -M/--mask


def run(options: Convert) -> int:
    began = time.monotonic()
    source = open_source(options.input)
    compositor, follow = compositing(options, source.path)
    sink = sink_of(options, source)
    swapper = _swapper(options)
    compositor = replace(compositor, coverage=swapper.coverage)
    choose = _chooser(options, swapper)

    frames = touched = faces = 0
    troubles = []
    with sink, alignments(options, source) as store:
        check_stored(store, compositor.maskers, source.path)
        found = ((frame, list(map(MaskedFace.of, store.faces(frame.index)))) for frame in prefetch(source))
        for done in progress(swap_frames(found, swapper, compositor, choose, follow), "convert", source.count):
            sink.write(done.frame, done.image)
            frames += 1
            touched += done.swapped > 0
            faces += done.swapped
            if done.failure:
                troubles.append(f"{done.frame.name or f'Frame {done.frame.index}'} was passed through as it was: {done.failure}.")
    troubles += [f"Incomplete input: {loss}" for loss in source.losses]

    logger.info("Swapped %s in %d of %s in %.0f s: %s%s", counted(faces, "face"), touched, counted(frames, "frame"),
                time.monotonic() - began, options.output, " (a folder of pictures)" if options.output.is_dir() else "")
    if not faces and options.faces == "nearest-a":
        logger.warning("No face looked like the person to be replaced. Try --faces all, or -s/--swap-model if it is the other way round.")
    for trouble in troubles:
        logger.warning("%s", trouble)
    return SOME_FAILED if troubles else DONE


def compositing(options: Convert, source: Path | None = None) -> tuple[Compositor, EyesFollow | None]:
    """How the faces of `source` are set into frames, and what is done to them before, as the options say."""
    maskers, predicted = masks(options.mask, source and (options.alignments or default_store(source)))
    follow = EyesFollow(ALIGNERS.create("dlib68", refeed=0)) if options.follow_eyes else None  # drawn eyes are smooth: one fit will do
    sides = options.erosion_top, options.erosion_right, options.erosion_bottom, options.erosion_left
    return Compositor(options.create("color"), options.create("blender"), maskers, predicted, options.erosion, sides, options.feather,
                      match_detail=options.match_detail, sharpness=options.sharpen, scale=options.face_scale), follow


def sink_of(options: Convert, source: FrameSource) -> FrameSink:
    """Where the frames go, as -o and -w say; nothing is written yet. Raises FaceswapError if they cannot go there."""
    return replace(options, writer=options.writer or writer_for(options.output)).create("writer").open(options.output, source)


def masks(text: str, path: Path | None) -> tuple[list[Masker], bool]:
    """The maskers that "predicted*hull" names, and whether the model's own mask is one of its factors.

    Masks are taken from the alignments file at `path`, if there is one and it has them.
    """
    names = [name.strip() for name in text.split("*")]
    known = [PREDICTED, *MASKERS.names()]
    for name in names:
        if name not in known:
            raise UsageError(f"-M/--mask: there is no mask {name!r}.{nearest_name(name, known)} There are: {', '.join(known)}; "
                             "several are joined by *.")
    store = AlignmentStore.open(path, read_only=True) if path and path.is_file() else None
    with store or nullcontext():
        return [usable(name, store) for name in names if name != PREDICTED], PREDICTED in names


def _swapper(options: Convert) -> Swapper:
    swapper = load_swapper(options.model_dir, "a" if options.swap_model else "b", options.morph)
    if options.mask.strip() == PREDICTED:
        blank = np.zeros((1, swapper.size, swapper.size, 3), np.float32)
        if swapper(blank)[1] is None:
            raise FaceswapError(f"The model in {options.model_dir} predicts no mask. Choose another -M/--mask, such as hull.")
    return swapper


def alignments(options: Command, source: FrameSource) -> AlignmentStore:
    """The faces in all frames of `source`: what was found before, and the rest, found now and kept; -p, -D and -A as in `options`.

    What was begun with another detector or aligner is gone on with by that, unless one was asked for.
    """
    path = options.alignments or default_store(source.path)
    with AlignmentStore.open(path) as store:
        def make(kind: str) -> Any:
            before, default = store.settings.get(kind), next(item.default for item in fields(options) if item.name == kind)
            if before and getattr(options, kind) == default and not options.settings.get(kind):
                return REGISTRIES[f"{kind}s"].create(before["name"], **before["options"])
            return options.create(kind)

        summary = extract(source, store, lambda: make("detector"), lambda: make("aligner"))
        if not summary.faces and summary.dropped:
            raise FaceswapError(all_left_out(source, summary))
        if not summary.faces:
            raise FaceswapError(f"No faces found in {source.path} ({summary.frames} frames). Look whether it shows faces; "
                                "then try another -D/--detector.")
    return AlignmentStore.open(path, read_only=True)  # others may use it meanwhile


def _chooser(options: Convert, swapper: Swapper) -> Choose:
    """The rule of --faces."""
    if options.faces == "largest":
        return largest
    if options.faces == "all":
        return lambda faces: faces
    replaced = "b" if options.swap_model else "a"
    if replaced not in swapper.identity:
        raise FaceswapError(f"The model {options.model_dir} does not know what person {replaced} looks like. "
                            "Choose --faces all or largest.")
    return nearest(np.asarray(swapper.identity[replaced]), RECOGNIZERS.create("dlib_resnet"))


@dataclass(kw_only=True)
class Convert(Command):
    """Set swapped faces into a video or pictures.

    Takes every frame of the input, replaces each face by what the trained model makes of it, and writes a video or a folder
    of pictures. Faces are found on the fly where extract has not found them before, and kept for the next run.
    Nothing outside the faces changes; the sound is kept.
    """

    input: Path = option(help="A video, a folder of pictures, or a picture.", short="-i")
    output: Path = option(help="A video, or a folder for pictures.", short="-o")
    model_dir: Path = option(help="The folder of a trained model.", short="-m")
    alignments: Path | None = option(None, "The alignments file of the input, if it is not in its usual place.", short="-p")
    morph: float | None = option(None, "How far towards B's face to go, of models that can stop half way, such as amp; by default 0.75.",
                                 low=0.0, high=1.0)
    swap_model: bool = option(False, "Swap the other way round: B becomes A.", short="-s")
    faces: str = option("all", "Which faces of a frame to swap; nearest-a is the one that looks like the person to be replaced, "
                               "if it does.", choices=("all", "largest", "nearest-a"))
    color: str = option("reinhard", "How the colours of the new face are fitted to the old one.", short="-c", plugin="colors")
    mask: str = option("predicted*hull", "Which part of the face is replaced: predicted (by the model, where it can), a masker, or masks "
                                         "that extract -M or mask made of the input's faces; joined by * where all must agree.", short="-M")
    erosion: float = option(0.0, "Move the mask's edge inwards by this share of the face's size; less than 0 moves it outwards.",
                            low=-0.25, high=0.25)
    erosion_top: float = option(0.0, "The same besides at the top of the face alone.", low=-0.25, high=0.25)
    erosion_right: float = option(0.0, "At its right, as it is seen.", low=-0.25, high=0.25)
    erosion_bottom: float = option(0.0, "At its bottom.", low=-0.25, high=0.25)
    erosion_left: float = option(0.0, "At its left.", low=-0.25, high=0.25)
    feather: float = option(0.1, "Width of the mask's soft edge as a share of the face's size.", low=0.0, high=0.5)
    match_detail: bool = option(True, "Sharpen faces until they look as sharp as the frame.")
    sharpen: float = option(0.0, "Add the fine detail of the new face so many times more; 0.5 to 1 is much.", low=0.0, high=5.0)
    face_scale: float = option(1.0, "Size of the new face, of the old one's.", low=0.5, high=2.0)
    follow_eyes: bool = option(True, "Move the eyelids of the new face to where those of the old one are.")
    blender: str = option("alpha", "How the face is joined to the frame.", short="-b", plugin="blenders")
    writer: str | None = option(None, "What is written; by default the output's name decides.", short="-w", plugin="writers")
    detector: str = option("auto", "What finds faces where that was not done before.", short="-D", plugin="detectors")
    aligner: str = option("dlib68", "What finds landmarks where that was not done before.", short="-A", plugin="aligners")
