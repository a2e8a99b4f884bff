"""A trained model, ready to swap or to translate: what convert, translate and the previews use."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import read_bytes
from lib.plugin import DEFAULT_RECOGNIZER, MODELS
from lib.swapping.exemplars import bank
from lib.system import device
from lib.training.saved import checkpoint, model_folder
from lib.training.saved.budget import build_networks
from lib.training.saved.description import check_identities

if TYPE_CHECKING:
    import keras

    from lib.training.model.contract import FaceModel

STRIDE = 4  # sides of pictures that are translated are multiples of it
LEAST = 16  # pixels a side of them
# of memory that each pixel takes, for each filter of the first layer, as measured: 11 in float32,
# 15 in bfloat16
BYTES = 16


@dataclass(frozen=True)
class Swapper:
    """A network that turns faces into those of one identity."""

    network: keras.Model
    size: int  # side of the crops, pixels
    drawn: int  # side of what it draws
    coverage: str  # of the crops
    digest: str = ""  # of the checkpoint that it was loaded from
    # mean embedding of the training faces, by identity "a", "b" ...
    identity: dict[str, np.ndarray] = field(default_factory=dict)
    recognizer: str = DEFAULT_RECOGNIZER  # ... by this recognizer

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> the swapped faces (N, D, D, 3), likewise, and their
        masks (N, D, D, 1), or None where not learnt."""
        swapped = np.clip(self.network.predict_on_batch(faces), 0, 1)
        return swapped[..., :3], swapped[..., 3:] if swapped.shape[-1] > 3 else None


@dataclass(frozen=True)
class Translator:
    """A network that translates whole pictures."""

    network: keras.Model
    size: int  # side of what it saw in training, pixels
    coverage: str  # of the faces that it was trained on
    whole: bool  # it was trained on whole pictures, and not on faces
    digest: str  # of the save that it was loaded from
    most: int  # pixels of a picture that there is memory for, roughly

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB -> the same, translated. H and W are LEAST pixels or more."""
        height, width = pictures.shape[1:3]
        padded = np.pad(pictures, ((0, 0), (0, -height % STRIDE), (0, -width % STRIDE), (0, 0)),
                        "reflect")
        drawn = self.network.predict_on_batch(padded.astype(np.float32) / 255)[:, :height, :width]
        return np.rint(np.clip(drawn, 0, 1) * 255).astype(np.uint8)


def load_swapper(folder: Path, to: str = "b", morph: float | None = None,
                 save: str | None = None) -> Swapper:
    """The newest good checkpoint of the model in `folder`, or that called `save`, swapping towards
    identity `to`, or `morph` of the way there.

    Raises FaceswapError where the folder holds no model, an unfinished or a damaged one, or one
    that swaps no faces, or all the way only.
    """
    options, model = _described(folder)
    if options.get("whole_pictures"):
        raise FaceswapError(f"{folder} was trained on whole pictures, not on faces. Give "
                            "it pictures: faceswap.py translate -i PICTURES -o OUTPUT -m "
                            f"{folder}")
    if morph is not None:
        if model.morph is None:
            raise FaceswapError("--morph is for models that learn what lies between two faces, "
                                f"such as amp; {folder} holds one of the "
                                f"kind {options['model']!r}. Leave it out.")
        model.morph = morph
    networks, digest = _loaded(folder, options, model, save)
    path = folder / "identities.json"
    means = model_folder.read_json(path, check_identities) if path.exists() else {}
    identity = {name: np.array(mean, np.float32) for name, mean in means.items()}
    return Swapper(model.swapper(networks, to), model.size, model.drawn, model.coverage, digest,
                   identity, options.get("recognizer", DEFAULT_RECOGNIZER))


def load_translator(folder: Path, to: str = "b", save: str | None = None) -> Translator:
    """The same for translating pictures. Raises FaceswapError as `load_swapper` does, and where the
    model cannot.
    """
    options, model = _described(folder)
    if not model.translates:
        raise FaceswapError(f"{folder} holds a model of the kind {options['model']!r}, which swaps "
                            f"faces alone: faceswap.py convert -m {folder} sets them into "
                            "pictures. translate takes models such as cyclegan.")
    networks, digest = _loaded(folder, options, model, save)
    network = model.translation(networks, to)
    from lib.nn import backend

    # at the picture's own size
    filters = next(weight.shape[-1] for weight in network.trainable_weights
                   if len(weight.shape) == 4)
    most = (backend.gpu_memory() or device.memory()[0]) // (BYTES * filters)
    return Translator(network, model.size, model.coverage, bool(options.get("whole_pictures")),
                      digest, most)


def _described(folder: Path) -> tuple[dict[str, Any], FaceModel]:
    """What `options.json` says, and the model that it describes."""
    options = model_folder.read_options(folder)
    model = MODELS.create(options["model"], **options["options"])
    if model.finds_covers:
        raise FaceswapError(f"{folder} holds a model of the kind {options['model']!r}, which finds "
                            "what covers faces and swaps none: faceswap.py mask -i INPUT -M "
                            f"occlusion --masker.model {folder}")
    if not model.swaps:
        raise FaceswapError(f"{folder} holds a model of the kind {options['model']!r}, which draws "
                            f"faces of its own: faceswap.py generate -m {folder} -o OUTPUT")
    return options, model


def _loaded(folder: Path, options: dict[str, Any], model: FaceModel,
            save: str | None) -> tuple[dict[str, keras.Model], str]:
    """The networks of its newest good checkpoint, or that called `save`, averaged if possible; and
    what stands for this save alone.
    """
    from lib.nn import backend  # imports Keras, which takes seconds

    if save is None and not checkpoint.saves(folder):  # before the networks are made
        raise FaceswapError(f"The model in {folder} was never saved. Train it first: faceswap.py "
                            f"train -m {folder} ...")
    backend.set_up(options.get("precision", "float32"))
    networks = build_networks(folder, model)
    _, state = checkpoint.load_newest(folder, networks, save)
    described = [options["model"], options["options"], state.files, *_exemplars(folder)]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return networks, digest


def _exemplars(folder: Path) -> list[str]:
    """SHA-256 of the files that hold pictures of the people, of a model that has some."""
    paths = [path for identity in "ab" if (path := bank.path_of(folder, identity)).exists()]
    return [hashlib.sha256(read_bytes(path, bank.MOST_FILE, named=False)).hexdigest()
            for path in paths]
