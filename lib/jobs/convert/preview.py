"""The sheets of --preview and --try: some frames, swapped in one way or in several, to choose
settings by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import FaceswapError, UsageError
from lib.files.writing import disk_errors
from lib.jobs.convert import people
from lib.jobs.convert.job import masks_store
from lib.jobs.convert.models import check_models_named, load_models, roles_of
from lib.jobs.convert.settings import ConvertSettings
from lib.jobs.convert.steadying import SteadyFaces
from lib.jobs.shared.compositing import compositor_of, eyes_of
from lib.jobs.shared.finding import open_alignments
from lib.media.endpoints.source import open_source
from lib.media.frame_range import parse_frame_range
from lib.media.pictures import picture_file
from lib.options import nearest
from lib.plugin import REGISTRIES
from lib.sampling import middles
from lib.swapping.depth import Depth
from lib.swapping.pipeline import swap_frames
from lib.swapping.sheet import sheet
from lib.system.progress import job
from lib.types import Face, Frame

TRIED = ("color", "blender", "mask", "erosion", "erosion_top", "erosion_right", "erosion_bottom",
         "erosion_left", "feather", "match_detail", "sharpen", "face_scale", "follow_eyes",
         "exemplars")
FRAMES = 4  # where --preview does not say how many
SEARCHED = 3  # times as many frames are searched for faces as are shown, since some may show none


@dataclass(frozen=True)
class PreviewResult:
    """What `preview` wrote."""

    sheet: Path
    frames: int


@dataclass(frozen=True)
class Variant:
    """One row of the sheet."""

    title: str
    settings: ConvertSettings


@job
def preview(settings: ConvertSettings) -> PreviewResult:
    """Writes a sheet of some frames, with a row for each choice of --try. Raises UsageError,
    FaceswapError."""
    check_models_named(settings)
    source = open_source(settings.input)
    frame_range = parse_frame_range(source, settings.from_, settings.to, settings.frames)
    count = settings.preview or FRAMES
    variants = variants_of(settings)
    compositors = [compositor_of(variant.settings, masks_store(variant.settings, source))
                   for variant in variants]
    eyes = [eyes_of(variant.settings) for variant in variants]
    models = load_models(settings)

    # faces of some frames, and who draws them
    candidates = frame_range.indices(source)
    searched = middles(candidates or range(source.count or 1), SEARCHED * count)
    any_exemplars = replace(settings, exemplars=any(variant.settings.exemplars
                                                    for variant in variants))
    with open_alignments(source, settings.alignments, settings, searched) as store:
        eligible = set(candidates or store.done())
        with_face = [index for index in people.frames_with_face(store) if index in eligible]
        steady = SteadyFaces(store)
        frames = [(frame, people.everybody(steady, frame.index, settings.unsure))
                  for frame in source.at(middles(with_face, count))]
        depth = Depth.of(store)
        roles = roles_of(any_exemplars, source, store, models, compositors[0], film=False)
    if not frames:
        raise FaceswapError(
            f"No faces were found in {source.path} where they were looked for. Choose other "
            "frames, or more of them.")

    # each variant of these frames
    rows = [("original", [frame.image for frame, _ in frames])]
    for variant, compositor, follow in zip(variants, compositors, eyes):
        own_roles = [replace(role,
                             compositor=replace(compositor, coverage=role.compositor.coverage),
                             exemplars=role.exemplars if variant.settings.exemplars else None)
                     for role in roles]
        swapped = swap_frames(iter(frames), own_roles, follow, depth=depth)
        rows.append((variant.title, [done.frame.with_patches(done.patches) for done in swapped]))
    return PreviewResult(_write(settings.output, rows, frames), len(frames))


def variants_of(settings: ConvertSettings) -> list[Variant]:
    """The choices of --try, each with each. Raises UsageError."""
    tried = dict(_choice(settings, text) for text in settings.try_)
    variants = []
    for values in product(*tried.values()):
        chosen = dict(zip(tried, values))
        # options given for a plugin do not belong to another one of its kind
        changed = {name for name, value in chosen.items() if value != getattr(settings, name)}
        plugin_options = {key: value for key, value in settings.plugin_options.items()
                          if key.partition(".")[0] not in changed}
        title = ", ".join(f"{name.replace('_', '-')} {value}"
                          for name, value in chosen.items()) or "swapped"
        variants.append(Variant(title, replace(settings, **chosen, plugin_options=plugin_options)))
    return variants


def _choice(settings: ConvertSettings, text: str) -> tuple[str, list[Any]]:
    """The option that "color=reinhard,linear" names, and its values."""
    name, equals, values = text.partition("=")
    name = name.strip().replace("-", "_")
    name = name if name in TRIED else name.removesuffix("s")
    if name not in TRIED or not equals or not values:
        names = ", ".join(known.replace("_", "-") for known in TRIED)
        raise UsageError(f"--try {text}: say what to try as NAME=VALUE,VALUE, where NAME is one of "
                         f"{names}.{nearest(name, TRIED)}")
    option = settings.option(name)
    chosen = [option.value(value.strip(), f"--try {name}") for value in values.split(",")]
    for value in chosen if option.plugin else ():
        REGISTRIES[option.plugin].check_name(value)
    return name, chosen


def _write(output: Path, rows: Sequence[tuple[str, Sequence[np.ndarray]]],
           frames: Sequence[tuple[Frame, Sequence[Face]]]) -> Path:
    """Writes the sheet to `output`, or beside it where that is no picture's name."""
    path = output
    if path.suffix.lower() not in picture_file.WRITTEN:
        path = path.with_name(path.name + ".preview.png")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    shown = [[face for face in faces if not face.left_out] for _, faces in frames]
    picture_file.write(path, sheet(rows, shown, [_name(frame) for frame, _ in frames]))
    return path


def _name(frame: Frame) -> str:
    if frame.name:
        return frame.name
    hours, minutes = int(frame.time // 3600), int(frame.time // 60) % 60
    return f"frame {frame.index + 1}, {hours}:{minutes:02d}:{frame.time % 60:05.2f}"
