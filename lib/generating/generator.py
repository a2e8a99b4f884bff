"""A trained StyleGAN, ready to draw: from seeds to styles, and from styles to pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.errors import FaceswapError
from lib.plugin import MODELS
from lib.training.saved import checkpoint, model_folder
from lib.training.saved.budget import build_networks

if TYPE_CHECKING:
    import keras

PIXELS = 1 << 20  # drawn at a time
MOST = 16  # pictures drawn at a time
SAMPLES = 10_000  # of w, to measure its spread
RANDOM_SEED = 1 << 40  # of random draws; beyond the seeds that users name


@dataclass(frozen=True)
class Generator:
    """The two networks that draw faces.

    A seed gives z (latent,), the mapping network turns it into w (latent,), and the synthesis
    network draws a picture from styles (L, latent): a w for each of its L layers.
    """

    name: str  # of its folder or file
    mapping: keras.Model
    synthesis: keras.Model
    mean: np.ndarray  # (latent,) float32: mean of w during training
    size: int  # side of the pictures
    coverage: str  # of the crops that it was trained on
    digest: str = ""  # of the weights
    faces: tuple[Path, ...] = field(default=())  # face sets that it was trained on
    published: bool = False  # a seed gives the face that the reference programs draw for it

    @property
    def latent(self) -> int:
        """Length of z and w."""
        return len(self.mean)

    @property
    def layers(self) -> int:
        """Layers of the synthesis network, each with a style."""
        return self.synthesis.input_shape[1]

    def w(self, z: np.ndarray) -> np.ndarray:
        """(N, latent) float32: the mapping of `z` (N, latent)."""
        return np.asarray(self.mapping.predict_on_batch(z), np.float32)

    def of_seeds(self, seeds: Sequence[int], truncation: float = 1.0) -> np.ndarray:
        """(N, latent) float32: the w of each seed, truncated: 1 leaves it, 0 gives the mean.

        "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR, 2019.
        """
        from lib.nn.stylegan import truncated  # imports Keras, which takes seconds

        w = self.w(z_of(seeds, self.latent, self.published))
        return truncated(w, self.mean, np.float32(truncation))

    def styles(self, w: np.ndarray) -> np.ndarray:
        """(N, L, latent): the same w (N, latent) for every layer."""
        return np.repeat(w[:, None], self.layers, 1)

    def draw(self, styles: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB of (N, L, latent), always with the same noise."""
        return np.concatenate(list(self.batches(styles)))

    def batches(self, styles: np.ndarray) -> Iterator[np.ndarray]:
        """The same as `draw`, `batch` pictures at a time: (batch, S, S, 3) uint8 RGB."""
        for start in range(0, len(styles), self.batch):
            part = np.float32(styles[start:start + self.batch])
            yield to_uint8(self.synthesis.predict_on_batch(part))

    def draw_with_noise(self, styles: np.ndarray) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB of (N, L, latent), with new random noise in each picture."""
        from keras import ops

        parts = (np.float32(styles[start:start + self.batch])
                 for start in range(0, len(styles), self.batch))
        return np.concatenate([to_uint8(ops.convert_to_numpy(self.synthesis(part, training=True)))
                               for part in parts])

    @property
    def batch(self) -> int:
        """Pictures that are drawn at a time."""
        return int(np.clip(PIXELS // self.size ** 2, 1, MOST))

    @cached_property
    def samples(self) -> np.ndarray:
        """(SAMPLES, latent) float32: w of random faces, always the same ones."""
        z = np.random.default_rng(RANDOM_SEED).standard_normal((SAMPLES, self.latent), np.float32)
        return np.concatenate([self.w(part) for part in np.split(z, 10)])


def z_of(seeds: Sequence[int], latent: int, published: bool = False) -> np.ndarray:
    """(N, latent) float32, standard normal: z of each seed, whatever the others are.

    With `published`, as reference programs draw it, such as generate.py of stylegan2-ada-pytorch.
    """
    if published:
        return np.concatenate([np.random.RandomState(seed).randn(1, latent)
                               for seed in seeds]).astype(np.float32)
    return np.stack([np.random.default_rng(seed).standard_normal(latent, np.float32)
                     for seed in seeds])


def to_uint8(drawn: np.ndarray) -> np.ndarray:
    """(N, S, S, 3) uint8 of pictures (N, S, S, 3) from about -1 to 1, as synthesis networks
    draw.
    """
    return np.rint(np.clip((drawn + 1) * 127.5, 0, 255)).astype(np.uint8)


def load_generator(folder: Path, save: str | None = None) -> Generator:
    """The StyleGAN in `folder`, from its newest good checkpoint or the one called `save`; averaged
    weights where it has them.

    Raises FaceswapError where the folder holds no such model, or a damaged one.
    """
    options = model_folder.read_options(folder)
    from lib.nn import backend  # imports Keras, which takes seconds

    backend.set_up("float32")  # fewer bits would lose fine tones
    model = MODELS.create(options["model"], **options["options"])
    if model.swaps or model.finds_covers:
        raise FaceswapError(f"The model in {folder} is of the kind {options['model']!r}, which "
                            "draws no new faces. Train one that does: faceswap.py train -t "
                            "stylegan -A FACES -m MODEL")
    all_networks = build_networks(folder, model)
    networks = {name: all_networks[name] for name in ("mapping", "synthesis")}
    _, state = checkpoint.load_newest(folder, networks, save)
    digest = hashlib.sha256(json.dumps([options["model"], options["options"], state.files],
                                       sort_keys=True).encode()).hexdigest()
    training_set = options.get("faces", {}).get("a", {})
    return Generator(folder.resolve().name, networks["mapping"], networks["synthesis"],
                     mean_of(networks["mapping"]), model.size,
                     model.coverage, digest, tuple(map(Path, training_set.get("folders", ()))))


def mean_of(mapping: keras.Model) -> np.ndarray:
    """(latent,) float32: the running mean of w that the mapping network keeps."""
    return mapping.get_layer("mean_style").mean.numpy()
