"""From frames to frames with swapped faces: cropped on threads, swapped in batches, colours measured and faces composited on threads,
in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from lib.faces.geometry import scale_of
from lib.plugin import Recognizer
from lib.swapping.composite import Canvas, Compositor, crop_face, network_input
from lib.swapping.depth import Depth, far_to_near
from lib.swapping.failure import failure_of
from lib.swapping.steady import steadied
from lib.system import device
from lib.system.parallel import opencv_on_one_thread, ordered_map
from lib.types import AlignedFace, Face, Frame, Patch, SwappedFace

BATCH = 8  # faces a call of the network; also frames that are shown to it together, from a multiple of it on
LARGE = 1 << 22  # bytes of a part of a frame that are calculated again rather than kept until it is composited

_Cropped = tuple[Frame, list[tuple[int, AlignedFace]], str]  # the number of each face's role
Choose = Callable[[list[AlignedFace]], list[AlignedFace]]
Takes = Callable[[int, Face], bool]  # frame index, face
Redraw = Callable[[int, SwappedFace], SwappedFace]  # frame index, a face of it


class Follow(Protocol):
    """What is done to the faces that a network drew, before they are set in."""

    def __call__(self, faces: Sequence[SwappedFace]) -> list[SwappedFace]: ...

    def after_exemplars(self) -> Follow:
        """The same for faces that have the detail of real pictures."""


def everyone(faces: list[AlignedFace]) -> list[AlignedFace]:
    return faces


def anyone(index: int, face: Face) -> bool:
    return True


class Network(Protocol):
    """What is needed of a trained model."""

    size: int
    drawn: int
    coverage: str

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> swapped faces, (N, D, D, 3), likewise, and (N, D, D, 1) float32 masks or None."""


@dataclass(frozen=True)
class Role:
    """A model, how what it draws is set into frames, and for whose faces it is."""

    network: Network
    compositor: Compositor
    choose: Choose = everyone  # of the faces of a frame that it takes
    takes: Takes = anyone
    exemplars: Redraw | None = None  # draws the detail of real pictures into a face


@dataclass(frozen=True)
class Finished:
    """A frame that is ready to be written."""

    frame: Frame
    patches: Sequence[Patch] = ()  # with which it is to be seen
    swapped: int = 0  # faces
    faint: int = 0  # of these, faces of which next to nothing is to be seen
    failure: str = ""  # why the frame was passed through as it was


def swap_frames(frames: Iterable[tuple[Frame, list[Face]]], roles: Sequence[Role], follow: Follow | None = None,
                deep: bool = False, aligned: bool = False, depth: Depth | None = None) -> Iterator[Finished]:
    """Each of `frames` with its faces swapped by the first of `roles` that takes them; networks and `follow` run on the caller's thread.

    With `deep` frames that have more than 8 bits are patched with 16; with `aligned` patches tell the faces before they were set in.
    `depth` says which of two faces that overlap is nearer; by default the larger and surer one of each frame.
    A frame of which a face fails, at whatever stage, is passed through as it was. Memory is bounded: about 2 * BATCH
    frames are in the works.
    """
    depth = depth or Depth()

    def crop(item: tuple[Frame, list[Face]]) -> _Cropped:
        frame, everybody = item
        faces = [face for face in everybody if not face.left_out]
        cropped: list[tuple[int, AlignedFace]] = []
        try:
            for number, role in enumerate(roles):
                its = [face for face in faces if role.takes(frame.index, face)]
                chosen = role.choose([crop_face(frame, face, role.network.size, role.network.coverage, role.network.drawn)
                                      for face in its])
                cropped += [(number, replace(aligned, nearer=depth.in_front_of(aligned.face, everybody))) for aligned in chosen]
                faces = [face for face in faces if not any(aligned.face is face for aligned in chosen)]
        except Exception as error:  # whatever a plugin raises: a long run does not end at one frame
            return frame, [], failure_of(error)
        frame.forget(LARGE)
        return frame, cropped, ""

    def redrawn(index: int, face: SwappedFace) -> SwappedFace:
        exemplars = roles[face.role].exemplars
        if exemplars is None:
            return face
        face = exemplars(index, face)
        return follow.after_exemplars()([face])[0] if follow else face

    def measure(item: tuple[Frame, list[SwappedFace], str]) -> tuple[Frame, list[SwappedFace], str]:
        frame, faces, failure = item
        try:
            faces = [redrawn(frame.index, face) for face in faces]
            return frame, [replace(face, fit=roles[face.role].compositor.fit(face)) for face in faces], failure
        except Exception as error:
            return frame, [], failure_of(error)

    def composite(item: tuple[Frame, list[SwappedFace], str]) -> Finished:
        frame, faces, failure = item
        if not faces:
            return Finished(frame, failure=failure)
        try:
            canvas = Canvas(frame, deep and frame.is_deep, aligned)
            faint = sum(not roles[face.role].compositor.paste(canvas, face) for face in far_to_near(faces))
            frame.forget()
        except Exception as error:
            return Finished(frame, failure=failure_of(error))
        return Finished(frame, canvas.patches, len(faces), faint)

    workers = max(1, device.cores() // 2)  # for each stage; they get into each other's way where more threads than cores have work
    with opencv_on_one_thread():
        cropped = ordered_map(crop, frames, workers, ahead=workers)
        measured = ordered_map(measure, _swapped(cropped, roles, follow), workers, ahead=workers)
        yield from ordered_map(composite, steadied(measured), workers, ahead=workers)


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
        return [faces[best]] if distances[best] < recognizer.apart else []

    return choose


def _swapped(cropped: Iterable[_Cropped], roles: Sequence[Role], follow: Follow | None) -> Iterator[tuple[Frame, list[SwappedFace], str]]:
    """A network sees the faces of BATCH frames at once, of the same frames wherever a run begins: what it draws depends, in the last bits,
    on what it is shown besides."""
    waiting: deque[_Cropped] = deque()

    def flush() -> Iterator[tuple[Frame, list[SwappedFace], str]]:
        swapped = [_swap([face for _, faces, _ in waiting for its, face in faces if its == number], number, role.network,
                         None if role.exemplars else follow) for number, role in enumerate(roles)]
        while waiting:
            frame, faces, failure = waiting.popleft()
            answers = [next(swapped[number]) for number, _ in faces]
            errors = [answer for answer in answers if isinstance(answer, Exception)]
            yield (frame, [], failure_of(errors[0])) if errors else (frame, answers, failure)

    for item in cropped:
        if waiting and item[0].index // BATCH != waiting[-1][0].index // BATCH:
            yield from flush()
        waiting.append(item)
    yield from flush()


def _swap(faces: list[AlignedFace], role: int, network: Network,
          follow: Follow | None) -> Iterator[SwappedFace | Exception]:
    """For each of `faces` what the network draws, or why there is nothing."""

    def drawn(batch: Sequence[AlignedFace]) -> list[SwappedFace | Exception]:
        images, masks = network(np.stack([network_input(face, network.size) for face in batch]))
        if masks is None:
            masks = np.ones((*images.shape[:3], 1), np.float32)
        return [SwappedFace(face, image, mask, role=role) if np.isfinite(image).all() and np.isfinite(mask).all()
                else ValueError("the model's answer is not made of numbers")
                for face, image, mask in zip(batch, images, masks)]

    for start in range(0, len(faces), BATCH):
        answers = _each(drawn, faces[start:start + BATCH])
        if follow:
            followed = iter(_each(follow, [answer for answer in answers if isinstance(answer, SwappedFace)]))
            answers = [next(followed) if isinstance(answer, SwappedFace) else answer for answer in answers]
        yield from answers


def _each(function: Callable[[Sequence[Any]], Iterable[Any]], items: Sequence[Any]) -> list[Any]:
    """What `function` makes of `items` together; where that fails, of each alone, or why it fails."""
    try:
        return list(function(items)) if items else []
    except Exception as error:
        return [error] if len(items) == 1 else [answer for item in items for answer in _each(function, [item])]
