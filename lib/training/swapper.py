"""A trained model, ready to swap: what convert and the previews use."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.errors import FaceswapError
from lib.plugin import MODELS
from lib.training import checkpoint

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Swapper:
    """Calls the network that turns faces into those of one identity."""

    network: keras.Model
    size: int  # side of the crops, pixels
    drawn: int  # side of what it draws
    coverage: str  # of the crops
    digest: str = ""  # of the save that it was loaded from
    identity: dict[str, np.ndarray] = field(default_factory=dict)  # mean embedding of the training faces, by identity "a", "b"

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> the swapped faces (N, D, D, 3), likewise, and their masks (N, D, D, 1), or
        None where not learnt."""
        swapped = np.clip(self.network.predict_on_batch(faces), 0, 1)
        return swapped[..., :3], swapped[..., 3:] if swapped.shape[-1] > 3 else None


def load_swapper(folder: Path, to: str = "b", morph: float | None = None) -> Swapper:
    """The newest good save of the model in `folder`, swapping towards identity `to`, or `morph` of the way there.

    Raises FaceswapError where the folder holds no model, an unfinished or a damaged one, or one that goes all the way only.
    """
    options = checkpoint.read_options(folder)
    from lib.training import backend  # imports Keras, which takes seconds

    model = MODELS.create(options["model"], **options["options"])
    if morph is not None:
        if not hasattr(model, "morph"):
            raise FaceswapError(f"--morph is for models that learn what lies between two faces, such as amp; {folder} holds one of the "
                                f"kind {options['model']!r}. Leave it out.")
        model.morph = morph
    found = checkpoint.newest(folder)
    if found is None:
        raise FaceswapError(f"The model in {folder} was never saved. Train it first: faceswap.py train -m {folder} ...")
    backend.set_up(options.get("precision", "float32"))
    networks = model.networks()
    checkpoint.load_networks(found[0], networks, averaged=checkpoint.has_averages(found[0]))
    path = folder / "identities.json"
    identity = {name: np.array(mean, np.float32) for name, mean in checkpoint.read_json(path).items()} if path.exists() else {}
    digest = hashlib.sha256(json.dumps([options["model"], options["options"], found[1].files], sort_keys=True).encode()).hexdigest()
    return Swapper(model.swapper(networks, to), model.size, model.drawn, model.coverage, digest, identity)
