"""From frames to frames with swapped faces, in five stages and in order.

    crop       on threads: the faces that each role takes, cut out of the frame
    swap       on the caller's thread: networks draw, in batches of frames
    fit        on threads: exemplars, and how colours have to change to suit the frame
    steady     what was measured, as the mean over the frames around (`steady.py`)
    composite  on threads: the faces set into the frame, as patches

A frame that fails at any stage is written unchanged: see `failure.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from lib.faces.geometry import scale_of
from lib.plugin import Recognizer
from lib.swapping.composite import Canvas, Compositor, crop_face, network_input
from lib.swapping.depth import Depth, far_to_near
from lib.swapping.failure import Staged, failure_of, guarded
from lib.swapping.steady import steadied
from lib.system import device
from lib.system.parallel import opencv_on_one_thread, ordered_map
from lib.types import AlignedFace, Face, Frame, Patch, SwappedFace

# Faces a call of the network; also frames that are shown to it together, from a multiple of it on
BATCH = 8
# Bytes of a part of a frame that are calculated again rather than kept until it is composited
LARGE = 1 << 22

Choose = Callable[[list[AlignedFace]], list[AlignedFace]]
Takes = Callable[[int, Face], bool]  # frame index, face
Redraw = Callable[[int, SwappedFace], SwappedFace]  # frame index, a face of it


class Follow(Protocol):
    """What is done to the faces that a network drew, before they are set in."""

    def __call__(self, faces: Sequence[SwappedFace]) -> list[SwappedFace]: ...

    def after_exemplars(self) -> Follow:
        """The same for faces that have the detail of real pictures."""


class Cropping(Protocol):
    """How a trained model wants its crops, and how large it draws them."""

    @property
    def size(self) -> int:
        """Side of the crops that it sees, pixels."""

    @property
    def drawn(self) -> int:
        """Side of what it draws."""

    @property
    def coverage(self) -> str:
        """Of the crops, a key of `geometry.COVERAGES`."""


class Network(Cropping, Protocol):
    """What is needed of a trained model."""

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> swapped faces, (N, D, D, 3), likewise, and
        (N, D, D, 1) float32 masks in [0, 1] or None."""


def everyone(faces: list[AlignedFace]) -> list[AlignedFace]:
    return faces


def anyone(index: int, face: Face) -> bool:
    return True


def largest(faces: list[AlignedFace]) -> list[AlignedFace]:
    """The face that is largest in the frame."""
    return sorted(faces, key=lambda face: scale_of(face.matrix))[:1]


def nearest(identity: np.ndarray, recognizer: Recognizer) -> Choose:
    """Takes the face whose embedding is nearest to `identity`, (D,), where it is the same person at
    all."""

    def choose(faces: list[AlignedFace]) -> list[AlignedFace]:
        if not faces:
            return []
        distances = np.linalg.norm(recognizer.embed(faces) - identity, axis=1)
        best = int(distances.argmin())
        return [faces[best]] if distances[best] < recognizer.same_distance else []

    return choose


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
    patches: Sequence[Patch] = ()  # with which it is to be shown
    swapped: int = 0  # faces
    faint: int = 0  # of these, faces of which next to nothing is visible
    failure: str = ""  # why the frame is written unchanged


class Cropped(NamedTuple):
    """A face that is to be swapped."""

    role: int  # the number of the role that takes it
    aligned: AlignedFace


def swap_frames(frames: Iterable[tuple[Frame, Sequence[Face]]], roles: Sequence[Role],
                follow: Follow | None = None, deep: bool = False, aligned: bool = False,
                depth: Depth | None = None) -> Iterator[Finished]:
    """Each of `frames` with its faces swapped by the first of `roles` that takes them.

    Networks and `follow` run on the caller's thread. With `deep` frames that have more than 8 bits
    are patched with 16; with `aligned` patches hold the faces as they were before they were set in.
    `depth` says which of two faces that overlap is nearer; by default the larger and surer one of
    each frame. Memory is bounded: about 2 * BATCH frames are in the works.
    """
    stages = _Stages(roles, follow, deep, aligned, depth or Depth())
    staged = (Staged(frame, faces) for frame, faces in frames)
    workers = max(1, device.cores() // 2)  # for each stage; more would get into each other's way
    with opencv_on_one_thread():
        cropped = ordered_map(stages.crop, staged, workers, ahead=workers)
        fitted = ordered_map(stages.fit, stages.swap(cropped), workers, ahead=workers)
        yield from ordered_map(stages.finish, steadied(fitted), workers, ahead=workers)


class _Stages:
    def __init__(self, roles: Sequence[Role], follow: Follow | None, deep: bool, aligned: bool,
                 depth: Depth):
        self._roles, self._follow, self._depth = roles, follow, depth
        self._deep, self._aligned = deep, aligned

    @guarded
    def crop(self, staged: Staged[Face]) -> Staged[Cropped]:
        """The faces that each role takes, cut out."""
        frame, everybody = staged.frame, staged.faces
        faces = [face for face in everybody if not face.left_out]
        cropped: list[Cropped] = []
        for number, role in enumerate(self._roles):
            network = role.network
            candidates = [crop_face(frame, face, network.size, network.coverage, network.drawn)
                          for face in faces if role.takes(frame.index, face)]
            chosen = role.choose(candidates)
            cropped += [Cropped(number,
                                replace(crop, nearer=self._depth.in_front_of(crop.face, everybody)))
                        for crop in chosen]
            taken = {id(crop.face) for crop in chosen}
            faces = [face for face in faces if id(face) not in taken]
        frame.forget(LARGE)
        return Staged(frame, cropped)

    def swap(self, items: Iterable[Staged[Cropped]]) -> Iterator[Staged[SwappedFace]]:
        """What the networks draw. They are shown the faces of BATCH frames at once, of the same
        frames wherever a run begins: the last bits of what they draw depend on what else they are
        shown."""
        group: list[Staged[Cropped]] = []
        for staged in items:
            if group and staged.frame.index // BATCH != group[-1].frame.index // BATCH:
                yield from self._swap_group(group)
                group = []
            group.append(staged)
        yield from self._swap_group(group)

    @guarded
    def fit(self, staged: Staged[SwappedFace]) -> Staged[SwappedFace]:
        """The faces with their exemplars, and with how they have to change to suit the frame."""
        faces = [self._with_exemplars(staged.frame.index, face) for face in staged.faces]
        return Staged(staged.frame, [replace(face, fit=self._roles[face.role].compositor.fit(face))
                                     for face in faces])

    def finish(self, staged: Staged[SwappedFace]) -> Finished:
        """The faces set into the frame."""
        if not staged.faces:
            return Finished(staged.frame, failure=staged.failure)
        try:
            canvas = Canvas(staged.frame, self._deep and staged.frame.is_deep, self._aligned)
            faint = sum(not self._roles[face.role].compositor.paste(canvas, face)
                        for face in far_to_near(staged.faces))
            staged.frame.forget()
        except Exception as error:
            return Finished(staged.frame, failure=failure_of(error))
        return Finished(staged.frame, canvas.patches, len(staged.faces), faint)

    def _with_exemplars(self, index: int, face: SwappedFace) -> SwappedFace:
        exemplars = self._roles[face.role].exemplars
        if exemplars is None:
            return face
        face = exemplars(index, face)
        return self._follow.after_exemplars()([face])[0] if self._follow else face

    def _swap_group(self, group: Sequence[Staged[Cropped]]) -> Iterator[Staged[SwappedFace]]:
        cropped = [face for staged in group for face in staged.faces]
        drawn = [self._draw(number, [face.aligned for face in cropped if face.role == number])
                 for number in range(len(self._roles))]
        for staged in group:
            answers = [next(drawn[face.role]) for face in staged.faces]
            errors = [answer for answer in answers if isinstance(answer, Exception)]
            drawn_faces = Staged(staged.frame, answers, staged.failure)
            yield drawn_faces.failed(errors[0]) if errors else drawn_faces

    def _draw(self, number: int, faces: Sequence[AlignedFace]) -> Iterator[SwappedFace | Exception]:
        """For each of `faces` what the network of a role draws, or why there is nothing."""
        role = self._roles[number]
        follow = None if role.exemplars else self._follow  # it comes after the exemplars
        for start in range(0, len(faces), BATCH):
            answers = _each(lambda batch: _drawn(role.network, number, batch),
                            faces[start:start + BATCH])
            if follow:
                drawn = [answer for answer in answers if isinstance(answer, SwappedFace)]
                followed = iter(_each(follow, drawn))
                answers = [next(followed) if isinstance(answer, SwappedFace) else answer
                           for answer in answers]
            yield from answers


def _drawn(network: Network, role: int,
           faces: Sequence[AlignedFace]) -> list[SwappedFace | Exception]:
    images, masks = network(np.stack([network_input(face, network.size) for face in faces]))
    if masks is None:
        masks = np.ones((*images.shape[:3], 1), np.float32)
    finite = [np.isfinite(image).all() and np.isfinite(mask).all()
              for image, mask in zip(images, masks)]
    return [SwappedFace(face, image, mask, role=role) if good
            else ValueError("the model's answer is not made of numbers")
            for face, image, mask, good in zip(faces, images, masks, finite)]


def _each(function: Callable[[Sequence[Any]], Iterable[Any]], items: Sequence[Any]) -> list[Any]:
    """What `function` makes of `items` together; where that fails, of each alone, or why it
    fails."""
    try:
        return list(function(items)) if items else []
    except Exception as error:
        if len(items) == 1:
            return [error]
        return [answer for item in items for answer in _each(function, [item])]
