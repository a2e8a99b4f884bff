"""From frames to frames with swapped faces: cropped on threads, swapped in batches, colours measured and faces composited on threads,
in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from lib import device
from lib.faces.geometry import scale_of
from lib.parallel import ordered_map
from lib.plugin import Recognizer
from lib.swapping.composite import Compositor, crop_face, network_input
from lib.swapping.steady import steadied
from lib.types import AlignedFace, Face, Frame, SwappedFace

BATCH = 8  # faces a call of the network; also how many frames wait for it at most, so that stretches without faces flow
SAME_PERSON = 0.6  # dlib's own bound for the distance of two embeddings; measured within a person at most 0.49, between two 0.75

Choose = Callable[[list[AlignedFace]], list[AlignedFace]]
Follow = Callable[[list[SwappedFace]], list[SwappedFace]]


class Network(Protocol):
    """What is needed of a trained model."""

    size: int
    drawn: int
    coverage: str

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> swapped faces, (N, D, D, 3), likewise, and (N, D, D, 1) float32 masks or None."""


@dataclass(frozen=True)
class Finished:
    """A frame that is ready to be written."""

    frame: Frame
    image: np.ndarray  # (H, W, 3) uint8 RGB
    swapped: int  # faces
    failure: str = ""  # why the frame was passed through as it was


def swap_frames(frames: Iterable[tuple[Frame, list[Face]]], network: Network, compositor: Compositor, choose: Choose,
                follow: Follow | None = None) -> Iterator[Finished]:
    """Each of `frames` with those of its faces swapped that `choose` takes; the network and `follow` run on the caller's thread.

    A frame of which a face fails is passed through as it was. Memory is bounded: about 4 * BATCH frames are in the works.
    """

    def crop(item: tuple[Frame, list[Face]]) -> tuple[Frame, list[AlignedFace], str]:
        frame, faces = item
        try:
            return frame, choose([crop_face(frame.image, face, network.size, network.coverage, network.drawn) for face in faces]), ""
        except (ValueError, cv2.error) as error:
            return frame, [], str(error)

    def measure(item: tuple[Frame, list[SwappedFace], str]) -> tuple[Frame, list[SwappedFace], str]:
        frame, faces, failure = item
        return frame, [replace(face, fit=compositor.fit(face)) for face in faces], failure

    def composite(item: tuple[Frame, list[SwappedFace], str]) -> Finished:
        frame, faces, failure = item
        if not faces:
            return Finished(frame, frame.image, 0, failure)
        image = frame.image.copy()
        try:
            for face in faces:
                compositor.paste(image, face)
        except (ValueError, cv2.error) as error:
            return Finished(frame, frame.image, 0, str(error))
        return Finished(frame, image, len(faces))

    workers = device.cores()
    cropped = ordered_map(crop, frames, workers, ahead=BATCH)
    measured = ordered_map(measure, _swapped(cropped, network, follow), workers, ahead=workers)
    return ordered_map(composite, steadied(measured), workers, ahead=BATCH)


def largest(faces: list[AlignedFace]) -> list[AlignedFace]:
    """The face that is largest in the frame."""
    return sorted(faces, key=lambda face: scale_of(face.matrix))[:1]


def nearest(identity: np.ndarray, recognizer: Recognizer) -> Choose:
    """Takes the face whose embedding is nearest to `identity`, (D,), where it is the same person at all."""

    def choose(faces: list[AlignedFace]) -> list[AlignedFace]:
        if not faces:
            return []
        distances = np.linalg.norm(recognizer.embed(faces) - identity, axis=1)
        best = int(distances.argmin())
        return [faces[best]] if distances[best] < SAME_PERSON else []

    return choose


def _swapped(cropped: Iterable[tuple[Frame, list[AlignedFace], str]], network: Network,
             follow: Follow | None) -> Iterator[tuple[Frame, list[SwappedFace], str]]:
    """The network sees the faces of several frames at once."""
    waiting: list[tuple[Frame, list[AlignedFace], str]] = []

    def flush() -> Iterator[tuple[Frame, list[SwappedFace], str]]:
        swapped = _swap([face for _, faces, _ in waiting for face in faces], network, follow)
        for frame, faces, failure in waiting:
            yield frame, [next(swapped) for _ in faces], failure
        waiting.clear()

    for item in cropped:
        waiting.append(item)
        if len(waiting) >= BATCH or sum(len(faces) for _, faces, _ in waiting) >= BATCH:
            yield from flush()
    yield from flush()


def _swap(faces: list[AlignedFace], network: Network, follow: Follow | None) -> Iterator[SwappedFace]:
    for start in range(0, len(faces), BATCH):
        batch = faces[start:start + BATCH]
        images, masks = network(np.stack([network_input(face, network.size) for face in batch]))
        if masks is None:
            masks = np.ones((*images.shape[:3], 1), np.float32)
        swapped = list(map(SwappedFace, batch, images, masks))
        yield from follow(swapped) if follow else swapped
