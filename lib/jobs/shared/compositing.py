"""The compositor that options describe."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from lib.alignments.masking import usable
from lib.alignments.store import AlignmentStore
from lib.errors import UsageError
from lib.jobs.shared.options import CompositingOptions
from lib.options import nearest
from lib.plugin import ALIGNERS, MASKERS, Masker
from lib.swapping.composite import Compositor
from lib.swapping.eyes import EyesFollow

PREDICTED = "predicted"  # the mask that the model made, in -M/--mask


def compositor_of(options: CompositingOptions, alignments: Path | None = None) -> Compositor:
    """How faces are set into frames. Masks are taken from the store at `alignments` where it has
    them. Raises UsageError."""
    maskers, predicted = maskers_of(options.mask, alignments)
    sides = options.erosion_top, options.erosion_right, options.erosion_bottom, options.erosion_left
    return Compositor(options.create("color"), options.create("blender"), maskers, predicted,
                      options.erosion, sides, options.feather, match_detail=options.match_detail,
                      sharpness=options.sharpen, scale=options.face_scale,
                      steadiness=options.steady)


def eyes_of(options: CompositingOptions) -> EyesFollow | None:
    """What moves the eyelids of the new face; None with --no-follow-eyes."""
    # Drawn eyes are smooth: one fit will do
    return EyesFollow(ALIGNERS.create("dlib68", refeed=0)) if options.follow_eyes else None


def maskers_of(mask: str, alignments: Path | None = None) -> tuple[list[Masker], bool]:
    """The maskers that `mask` ("predicted*hull") names, and whether the model's own mask is a
    factor. Raises UsageError."""
    names = [name.strip() for name in mask.split("*")]
    known = [PREDICTED, *MASKERS.names()]
    for name in names:
        if name not in known:
            raise UsageError(
                f"-M/--mask: there is no mask {name!r}.{nearest(name, known)} There are: "
                f"{', '.join(known)}; several are joined by *.")
    store = AlignmentStore.open(alignments,
                                read_only=True) if alignments and alignments.is_file() else None
    with store or nullcontext():
        return [usable(name, store) for name in names if name != PREDICTED], PREDICTED in names
