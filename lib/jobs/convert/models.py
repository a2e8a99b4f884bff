"""Which model draws whose face: -m, or --swap WHO=MODEL."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.alignments.store import AlignmentStore
from lib.errors import FaceswapError, UsageError
from lib.jobs.convert import people
from lib.jobs.convert.settings import ConvertSettings
from lib.jobs.shared.compositing import PREDICTED
from lib.media.base import FrameSource
from lib.media.endpoints.source import open_source
from lib.options import expanded
from lib.swapping.composite import Compositor, crop_face
from lib.swapping.enhance import Enhanced, Enhancer
from lib.swapping.exemplars import loading
from lib.swapping.exemplars.features import Person
from lib.swapping.exemplars.stage import Planned, Separate
from lib.swapping.pipeline import Network, Role, Takes
from lib.training.saved.swapper import Swapper, load_swapper
from lib.types import AlignedFace, Frame

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Models:
    """The trained models by their folder, in the order in which they take faces."""

    swappers: Mapping[Path, Swapper]
    # Who gets which: a person's number or the path of a photo; empty with -m
    cast: Mapping[Path, str]
    enhancer: Enhancer | None
    strength: float  # of the enhancer

    @property
    def first(self) -> Swapper:
        return next(iter(self.swappers.values()))

    @property
    def names(self) -> dict[str, str]:
        """The name of each model by its digest."""
        return {swapper.digest: folder.resolve().name for folder, swapper in self.swappers.items()}

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each model by its folder."""
        return {str(folder): swapper.digest for folder, swapper in self.swappers.items()}

    def network(self, folder: Path) -> Network:
        """The model in `folder`, and the enhancer behind it."""
        swapper = self.swappers[folder]
        return Enhanced(swapper, self.enhancer, self.strength) if self.enhancer else swapper


def check_models_named(settings: ConvertSettings) -> None:
    """Raises UsageError unless one of -m and --swap is given."""
    if (settings.model_dir is None) == (not settings.swap):
        raise UsageError(
            "convert needs one of -m/--model-dir, a model for all faces, and --swap, a model for "
            "each of several people.")


def load_models(settings: ConvertSettings) -> Models:
    """The models of -m or --swap. Raises FaceswapError where one cannot be used."""
    cast = cast_of(settings.swap)
    swappers = {}
    for folder in cast or [settings.model_dir]:
        swapper = load_swapper(folder, "a" if settings.swap_model else "b", settings.morph,
                               settings.checkpoint)
        if settings.mask.strip() == PREDICTED and not _predicts_mask(swapper):
            raise FaceswapError(
                f"The model in {folder} predicts no mask. Choose another -M/--mask, such as hull.")
        swappers[folder] = swapper
    enhancer = Enhancer(settings.enhance) if settings.enhance else None
    return Models(swappers, cast, enhancer, settings.enhance_strength)


def cast_of(texts: list[str]) -> dict[Path, str]:
    """Who gets which model, as --swap says: a person's number or the path of a photo, by the
    model's folder."""
    cast: dict[Path, str] = {}
    for text in texts:
        who, equals, folder = text.partition("=")
        if not (who and equals and folder):
            raise UsageError(
                f"--swap {text}: say who gets which model as WHO=MODEL_FOLDER, where WHO is a "
                "person's number from extract, or a photo.")
        if Path(folder) in cast:
            raise UsageError(
                f"--swap: {folder} is named twice. Name it once, with a folder of photos of all "
                "who get it.")
        cast[Path(folder)] = who
    return cast


def roles_of(settings: ConvertSettings, source: FrameSource, store: AlignmentStore, models: Models,
             compositor: Compositor, film: bool = True) -> list[Role]:
    """Which model draws whose faces. Single frames, no `film`, are not looked at together."""
    selected = people.selection_of(settings, source, store)
    roles = []
    for folder, swapper in models.swappers.items():
        takes = selected
        if who := models.cast.get(folder):
            person = people.person_is(int(who[:20])) if who.isdecimal() else \
                people.similar_to(settings, source, store, [expanded(Path(who))], [])
            takes = people.all_of([selected, person])
        network = models.network(folder)
        exemplars = _exemplars(settings, folder, network, source, store, takes, film)
        roles.append(Role(network, replace(compositor, coverage=swapper.coverage),
                          people.chooser_of(settings, swapper), takes, exemplars))
    return roles


def _predicts_mask(swapper: Swapper) -> bool:
    return swapper(np.zeros((1, swapper.size, swapper.size, 3), np.float32))[1] is not None


def _exemplars(settings: ConvertSettings, folder: Path, network: Network, source: FrameSource,
               store: AlignmentStore, takes: Takes, film: bool) -> Separate | Planned | None:
    """What draws the detail of real pictures into the faces of `source`.

    None with --no-exemplars, or for a model that has no pictures. They are chosen over stretches of
    a `film`, otherwise frame by frame.
    """
    banks = loading.read_banks(folder) if settings.exemplars else {}
    new, old = ("a", "b") if settings.swap_model else ("b", "a")
    if new not in banks or old not in banks:
        return None
    sample = [face.landmarks for index in people.frames_with_face(store, people.LOOKED_AT)
              for face in people.faces_of(store, index) if takes(index, face)]
    shapes = loading.shapes_of(sample, network.coverage)
    if not len(shapes):
        return None
    exemplars = loading.prepare(banks, network)
    drawer = loading.make_drawer(network, exemplars[new], exemplars[old], Person.of(shapes))
    logger.info("Exemplars: %d pictures of %s; shares of their frequency bands: %s.",
                len(drawer.exemplars), new.upper(),
                ", ".join(f"{share:.0%}" for share in drawer.shares))
    if source.rate is None or not film:  # pictures have nothing to do with each other
        return Separate(drawer)

    def crops(start: int, stop: int) -> Iterator[tuple[Frame, list[AlignedFace]]]:
        for frame in open_source(source.path).frames(start, stop):
            faces = []
            for face in people.faces_of(store, frame.index):
                # A face without a crop is reported when its frame is converted
                with suppress(Exception):
                    if takes(frame.index, face):
                        faces.append(crop_face(frame, face, network.size, network.coverage,
                                               network.drawn))
            yield frame, faces

    return Planned(drawer, crops)
