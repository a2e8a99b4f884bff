"""What a plugin of each kind must do, and the registries that find them by name."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from lib.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any, Self

    import keras
    import numpy as np

    from lib.media.base import FrameSink, FrameSource
    from lib.types import AlignedFace, Alignment, Detection, Place

DETECTORS = Registry("detectors", "plugins.detectors")
ALIGNERS = Registry("aligners", "plugins.aligners")
MASKERS = Registry("maskers", "plugins.maskers")
RECOGNIZERS = Registry("recognizers", "plugins.recognizers")
MODELS = Registry("models", "plugins.models")
LOSSES = Registry("losses", "plugins.losses")
AUGMENTATIONS = Registry("augmentations", "plugins.augmentations")
OPTIMIZERS = Registry("optimizers", "plugins.optimizers")
SCHEDULES = Registry("schedules", "plugins.schedules")
COLORS = Registry("colors", "plugins.colors")
BLENDERS = Registry("blenders", "plugins.blenders")
WRITERS = Registry("writers", "plugins.writers")
DEFAULT_ALIGNER, DEFAULT_RECOGNIZER = "dlib68", "dlib_resnet"
REGISTRIES = {registry.kind: registry for registry in (DETECTORS, ALIGNERS, MASKERS, RECOGNIZERS,
                                                       MODELS, LOSSES, AUGMENTATIONS, OPTIMIZERS,
                                                       SCHEDULES, COLORS, BLENDERS, WRITERS)}


class Plugin:
    """What all plugins have in common: each is a dataclass whose fields are its options."""

    def options(self) -> dict[str, Any]:
        """Its options by name."""
        return dataclasses.asdict(cast("Any", self))

    def copy(self) -> Self:
        """Another one with the same options, for another thread."""
        return dataclasses.replace(cast("Any", self))


class Detector(Plugin, ABC):
    """Finds faces. One instance serves one thread."""

    # pixels, longer side: larger pictures are shrunk to it before they are searched
    search: int = 640
    # pixels, side of the smallest face that it is sure to find in such a picture; 0: not
    # known
    smallest: float = 0.0
    # Score from which a face surely stands upright; 0: it finds none that does not
    upright: float = 0.0
    chooses: bool = False  # whether it stands for another detector, which `resolve` returns

    @abstractmethod
    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Faces in each of `images`, (H, W, 3) uint8 RGB of any sizes, best score first."""

    def resolve(self, recorded: str | None, **options: Any) -> Detector:
        """The detector that does the work: itself, but for one that `chooses` another.

        `recorded` and `options` are name and options of the one that earlier runs used on a source;
        None for a new source.
        """
        return self


class Aligner(Plugin, ABC):
    """Finds landmarks of a face. One instance serves one thread."""

    follows: bool = False  # whether `follow` finds faces by where they were a frame before

    @abstractmethod
    def align(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(K, 68, 2) float32 landmarks, x and y in pixels, for each of `images` (H, W, 3) uint8 RGB
        of any sizes.

        `boxes` are (K, 4) for each image, as `Detection.box`; the result has the faces in their
        order.
        """

    def fit(self, images: Sequence[np.ndarray],
            boxes: Sequence[np.ndarray]) -> list[list[Alignment]]:
        """What `align` finds, and the shape of each face where the aligner tells it."""
        from lib.types import Alignment

        return [[Alignment(points) for points in fits] for fits in self.align(images, boxes)]

    def follow(self, images: Sequence[np.ndarray],
               faces: Sequence[Alignment]) -> list[list[Alignment]]:
        """The same faces in each of `images` (H, W, 3) uint8 RGB, consecutive frames after the one
        of `faces`, up to the first in which one of them is lost."""
        raise NotImplementedError


class Masker(Plugin, ABC):
    """Says which pixels of a crop belong to the face. Threads share a masker.

    `aligned.coverage` says how much of the head the crop shows. extract and mask ask for the
    "whole" crop, 256 pixels wide, and store the answer, of 128 pixels, which convert lays over the
    model's crop. Where no mask was stored, or with `from_landmarks`, convert asks for the model's
    own crop. `aligned.face.frame` and `.number` tell whose mask it is and `aligned.matrix` where
    the crop lies, so that masks can come from files, too.
    """

    # Whether it looks at the landmarks alone, so that it can be asked again at any size
    from_landmarks: bool = False
    # Whether what it leaves out is something in front of the face: its edge is shown as it is, neither
    # moved nor feathered, and no colour is measured there
    tells_covers: bool = False
    # Whether its masks of neighbouring frames differ by chance, so that convert steadies them
    flickers: bool = False

    @abstractmethod
    def mask(self, aligned: AlignedFace) -> np.ndarray:
        """(S, S, 1) float32 in [0, 1], 1 = face, over `aligned.image` (S, S, 3) uint8 RGB."""

    def made_with(self) -> dict[str, Any]:
        """What its masks depend on: its options. Stored masks that were made with others are made
        again.
        """
        return self.options()


class Recognizer(Plugin, ABC):
    """Describes whose face it is. Threads share a recognizer.

    The likeness of two faces is the cosine of their embeddings, each less `average`: 1 is the same
    picture, about 0 are two people.
    """

    average: np.ndarray  # (D,) float32 mean embedding of many people
    same: float  # likeness from which on two faces are of one person
    telling: float  # embeddings nearer to the average say little: of blurred, small or turned faces

    @property
    def same_distance(self) -> float:
        """Euclidean distance of two embeddings below which they are of one person.

        By default what `same` means for embeddings of length 1.
        """
        return math.sqrt(2 - 2 * self.same)

    @abstractmethod
    def embed(self, faces: Sequence[AlignedFace]) -> np.ndarray:
        """(N, D) float32 identity embeddings of `faces`, crops of coverage "whole"; near = same
        person.
        """


class Loss(ABC):
    """Says how far a drawn picture is from its target."""

    @abstractmethod
    def measure(self, picture: Any, target: Any, weight: Any = None) -> Any:
        """A scalar to minimise, written in `keras.ops`: 0 for equal pictures, more for others.

        `picture` and `target` are float32 tensors (N, H, W, 3) RGB in [0, 1]. `weight`
        (N, H, W, 1), 0 or more, says how much each pixel counts; None: all alike. A weight of 1
        everywhere changes nothing, and pixels of weight 0 must not count, nor what a filter makes
        of them. The gradient is finite everywhere, also for equal pictures and black ones.
        """


class Augmenter(ABC):
    """Varies training faces: on the host with OpenCV, and on the device in `keras.ops`, equally.

    `draw` makes random numbers, of which both make the same picture, within rounding. It comes
    after faces were moved, bent and cut, and before they are mirrored.
    """

    strength: float  # 0: nothing is changed; an option of the plugin
    changes: str = "target"  # the picture to be drawn, and with it the input; or "input" alone
    order: int = 50  # lower ones come first
    numbers: tuple[str, ...] = ()  # names of its random numbers

    @abstractmethod
    def draw(self, name: str, count: int, size: int, random: np.random.Generator) -> np.ndarray:
        """(count, ...), the numbers called `name` of so many faces; `size` is the side in pixels of
        the crop that the model sees."""

    @abstractmethod
    def on_host(self, picture: np.ndarray, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
        """`picture` (S, S, 3) uint8 RGB, changed; not in place. `numbers` are those of one face, by
        name. Called on several threads."""

    @abstractmethod
    def on_device(self, pictures: Any, numbers: Mapping[str, Any]) -> Any:
        """`pictures` (N, S, S, 3) float32 RGB, whole numbers from 0 to 255, changed; the same
        range. `numbers` are tensors (N, ...) by name."""


class Optimizer(ABC):
    """Says how weights follow their gradients."""

    @abstractmethod
    def make(self, learning_rate: float) -> keras.optimizers.Optimizer:
        """A new one, not built yet, that neither clips gradients nor gathers them."""


class Schedule(ABC):
    """Says how large the learning rate is as training goes on."""

    @abstractmethod
    def share(self, iteration: int, done: float | None,
              losses: Sequence[tuple[int, float]]) -> float:
        """Of the learning rate that was asked for, at `iteration`, from 0.

        `done` is how much of a run of known length is over, 0 to 1; None for one without an end.
        `losses` are iterations and losses of all reports so far, in order.
        """


class Color(ABC):
    """Fits the colours of a swapped face to those of the face it replaces."""

    @abstractmethod
    def measure(self, swapped: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        """How its colours have to change, for `recolor`: float32 of one shape, the mean of which
        over a face's frames will do as well.

        `swapped` and `original` (S, S, 3) float32 RGB in [0, 1], `mask` (S, S, 1) float32 of skin.
        None: nothing is known, or to be done.
        """

    @abstractmethod
    def recolor(self, swapped: np.ndarray, measured: np.ndarray, place: Place) -> np.ndarray:
        """`swapped` (H, W, 3) float32 RGB in [0, 1], which is what lies at `place` in the crop, in
        the colours that were measured.
        """


class Blender(ABC):
    """Sets a face into the region of the frame around it."""

    measures: bool = False  # whether `measure` is called, which costs time

    def measure(self, face: np.ndarray, original: np.ndarray,
                mask: np.ndarray) -> np.ndarray | None:
        """What a face has to be given so that it joins what is around it: (G, G, 3) float32, to be
        added to it after it was enlarged to the face's side. Of one shape, and its mean over a
        face's frames will do as well. None: nothing.

        `face` and `original` (S, S, 3) float32 RGB in [0, 1], `mask` (S, S, 1) float32, all of the
        crop.
        """
        return None

    @abstractmethod
    def blend(self, region: np.ndarray, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """`region` and `face` (H, W, 3) RGB, both uint8 or uint16, `mask` (H, W, 1) float32 -> (H,
        W, 3) of that type.

        Pixels where the mask is 0 come back unchanged.
        """


class Writer(ABC):
    """Opens a sink for finished frames."""

    def keeping_interlaced(self) -> Writer | None:
        """One that keeps interlaced fields outside the faces; None where its output has none."""
        return None

    @abstractmethod
    def open(self, path: Path, source: FrameSource) -> FrameSink:
        """A sink at `path` with the size, frame times and sound of `source`."""
