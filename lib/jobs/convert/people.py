"""Whose faces are swapped: by tracks, numbers of people, photos, face pictures, and the likeness to
A."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lib.alignments.identity import embeddings_of, faces_of_people, recognize
from lib.alignments.masking import MaskedFace
from lib.alignments.removal import faces_shown
from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError
from lib.faces.geometry import crop
from lib.faces.likeness import PeopleFilter, likeness
from lib.faces.quality import is_face
from lib.facesets.folder import FaceCropper
from lib.jobs.convert.settings import ConvertSettings
from lib.jobs.convert.steadying import SteadyFaces
from lib.media.base import FrameSource
from lib.plugin import DEFAULT_RECOGNIZER, RECOGNIZERS, Recognizer
from lib.sampling import middles
from lib.swapping.pipeline import Choose, Takes, everyone, largest, nearest
from lib.training.saved.swapper import Swapper
from lib.types import Face

logger = logging.getLogger(__name__)
COMPARED = 3  # faces that are compared with the model's people, where none has an embedding
LOOKED_AT = 500  # frames with faces that speak for all of a source


def frames_with_face(store: AlignmentStore, count: int | None = None) -> list[int]:
    """Indices of frames with a face that is not left out: all, or `count` evenly chosen."""
    frames = [index for index, _, _, faces in store.frame_counts() if faces]
    return frames if count is None else middles(frames, count)


def faces_of(store: AlignmentStore, index: int) -> list[MaskedFace]:
    """The faces of a frame that are not left out."""
    return list(map(MaskedFace.of, store.faces(index)))


def everybody(faces: SteadyFaces, index: int, unsure: bool) -> list[MaskedFace]:
    """All faces of a frame, also those that are not swapped but may stand in front of others.

    With `unsure`, those are swapped whose landmarks the aligner is not sure of.
    """
    return [replace(face, left_out=False) if unsure and stored.dropped == "unsure" else face
            for stored, face in faces(index) if stored.dropped is None or is_face(stored.face)]


def selection_of(settings: ConvertSettings, source: FrameSource, store: AlignmentStore) -> Takes:
    """The faces that --track, --person, -f, -n and -a select."""
    rules: list[Takes] = []
    if settings.track:
        rules.append(lambda index, face: face.track in settings.track)
    if settings.person:
        rules.append(lambda index, face: face.person in settings.person)
    if settings.filter or settings.nfilter:
        rules.append(similar_to(settings, source, store, settings.filter, settings.nfilter))
    if settings.aligned_dir:
        shown = faces_shown(store, settings.aligned_dir)
        rules.append(lambda index, face: (index, face.number) in shown)
    return all_of(rules)


def person_is(number: int) -> Takes:
    return lambda index, face: face.person == number


def all_of(rules: Sequence[Takes]) -> Takes:
    return lambda index, face: all(rule(index, face) for rule in rules)


def similar_to(settings: ConvertSettings, source: FrameSource, store: AlignmentStore,
               keep: Sequence[Path], drop: Sequence[Path]) -> Takes:
    """Faces like those in the pictures of `keep`, and not like those of `drop`.

    Raises FaceswapError where nobody in the source is.
    """
    recognizer = _recognizer(settings, store)
    kept, dropped = (embeddings_of(paths, settings.create("detector"), settings.create("aligner"),
                                   recognizer) for paths in (keep, drop))
    with AlignmentStore.open(store.path) as writable:
        recognize(source, writable, recognizer, FaceCropper())
        people = PeopleFilter(kept, dropped, threshold=settings.ref_threshold)
        similar = faces_of_people(writable, recognizer, people)
    if not similar:
        photos = ", ".join(map(str, keep)) or "the frames"
        threshold = settings.ref_threshold or recognizer.same
        raise FaceswapError(
            f"Nobody in {source.path} is like those in {photos}. Choose other photos, or lower "
            f"-l/--ref-threshold (now {threshold:.2f}).")

    def rule(index: int, face: Face) -> bool:
        return (index, face.number) in similar

    return rule


def chooser_of(settings: ConvertSettings, swapper: Swapper) -> Choose:
    """The rule of --faces. Raises FaceswapError where the model does not know the person."""
    if settings.faces == "largest":
        return largest
    if settings.faces == "all":
        return everyone
    replaced = "b" if settings.swap_model else "a"
    if replaced not in swapper.identity:
        raise FaceswapError(f"The model does not know what person {replaced} looks like. "
                            "Choose --faces all or largest.")
    return nearest(np.asarray(swapper.identity[replaced]), RECOGNIZERS.create(swapper.recognizer))


def warn_if_swapped_already(settings: ConvertSettings, source: FrameSource, store: AlignmentStore,
                            swapper: Swapper) -> None:
    """Warns where the faces of `source` are already those of the person whose face `swapper` puts
    there."""
    new, old = ("a", "b") if settings.swap_model else ("b", "a")
    if not {new, old} <= swapper.identity.keys():
        return
    recognizer = RECOGNIZERS.create(swapper.recognizer)
    embeddings = _some_embeddings(source, store, swapper.recognizer, recognizer)
    if not len(embeddings):
        return
    to_new, to_old = (likeness(embeddings, swapper.identity[identity][None], recognizer)[:, 0]
                      for identity in (new, old))
    if ((to_new >= recognizer.same) & (to_new > to_old)).mean() > 0.5:
        advice = "Leave -s out" if settings.swap_model else "Add -s/--swap-model"
        logger.warning(
            "The faces of %s already look like %s, whose face the model puts there: there is "
            "nothing to swap. %s to put the other person's face on them, or choose another input.",
            source.path, new.upper(), advice)


def _some_embeddings(source: FrameSource, store: AlignmentStore, name: str,
                     recognizer: Recognizer) -> np.ndarray:
    """(N, D) float32 embeddings of faces of `source` by the recognizer called `name`; stored ones
    where there are."""
    stored = [embedding for _, _, embedding in itertools.islice(store.embeddings(name), LOOKED_AT)]
    if stored:
        return np.array(stored)
    faces = []
    for frame in source.at(frames_with_face(store, COMPARED)):
        # A face without a crop is reported when its frame is converted
        with suppress(ValueError, cv2.error):
            faces.append(crop(frame.image, store.faces(frame.index)[0].fitted))
    return recognizer.embed(faces) if faces else np.empty((0, 0), np.float32)


def _recognizer(settings: ConvertSettings, store: AlignmentStore) -> Recognizer:
    """The one asked for, else the one that has embedded faces of `store` already, else the
    default."""
    name = settings.recognizer or store.state.recognizer or DEFAULT_RECOGNIZER
    return replace(settings, recognizer=name).create("recognizer")
