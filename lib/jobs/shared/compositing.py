"""The compositor that options describe."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from lib.alignments.masking import IN_FRONT, Everything, StoredMask, usable
from lib.alignments.store import AlignmentStore
from lib.errors import UsageError
from lib.jobs.shared.options import CompositingOptions
from lib.options import nearest
from lib.plugin import ALIGNERS, MASKERS, Masker
from lib.swapping.composite import Compositor
from lib.swapping.eyes import EyesFollow

PREDICTED = "predicted"  # the mask that the model made, in -M/--mask
AUTO = "auto"  # this, the hull, and what is known to be in front of the face


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
    """What moves eyelids and irises of the new face; None with --no-follow-eyes."""
    # Drawn eyes are smooth: one fit will do
    return EyesFollow(ALIGNERS.create("dlib68", refeed=0)) if options.follow_eyes else None


def maskers_of(mask: str, alignments: Path | None = None) -> tuple[list[Masker], bool]:
    """The maskers that `mask` ("predicted*hull") names, and whether the model's own mask is a
    factor. Raises UsageError."""
    names = [name.strip() for name in mask.split("*")]
    store = AlignmentStore.open(alignments,
                                read_only=True) if alignments and alignments.is_file() else None
    with store or nullcontext():
        stored = store.mask_counts() if store else {}
        known = list(dict.fromkeys([AUTO, PREDICTED, *MASKERS.names(), *stored]))
        for name in names:
            if name not in known:
                raise UsageError(
                    f"-M/--mask: there is no mask {name!r}.{nearest(name, known)} There are: "
                    f"{', '.join(known)}; several are joined by *.")
        factors = dict.fromkeys(names)
        maskers = [usable(name, store) for name in factors if name not in (AUTO, PREDICTED)]
        if AUTO in factors and "hull" not in factors:
            maskers.append(usable("hull", store))
        if AUTO in factors and IN_FRONT in stored and IN_FRONT not in factors:
            maskers.append(StoredMask(IN_FRONT, Everything()))
        is_predicted = bool(factors.keys() & {AUTO, PREDICTED})
        return _bounded(maskers, is_predicted), is_predicted


def _bounded(maskers: list[Masker], predicted: bool) -> list[Masker]:
    """`maskers`, of which one at least ends at each face, unless the model's own mask is a factor:
    the hull is one more where all tell what is in front alone, and stands for the first where all
    are masks that a face may lack."""
    if predicted:
        return maskers
    if all(masker.tells_covers for masker in maskers):
        return [*maskers, MASKERS.create("hull")]
    imported = [masker for masker in maskers if isinstance(masker, StoredMask) and masker.otherwise]
    if len(imported) < len(maskers):
        return maskers
    return [replace(imported[0], otherwise=MASKERS.create("hull")), *imported[1:]]
