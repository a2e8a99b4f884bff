"""Weights of StyleGAN as the reference repositories publish them: found in a pickle file, under one set of names.

Names are those of stylegan2-ada-pytorch: `mapping.fc0.weight`, `synthesis.b8.conv0.affine.bias`. Files of its TensorFlow predecessor of
2020 are brought to the same names and layouts.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.names import natural_key
from lib.generating import pickles
from lib.generating.generator import Generator
from lib.generating.pickles import Stub, is_called
from lib.plugin import MODELS

if TYPE_CHECKING:
    import keras

COVERAGE = "head"  # the nearest to how the faces of published models are cut
LARGEST = 1024  # pixels
MOST_MODULES, DEEPEST = 5000, 20  # modules, or arrays, and modules within each other: generators have some hundred, and 3


def read_published(path: Path) -> dict[str, np.ndarray]:
    """float32 arrays of the averaged generator in the file `path`, by name. Raises FaceswapError where there is none, or it is damaged."""
    found = pickles.read(path)
    try:
        if isinstance(found, dict) and isinstance(found.get("G_ema"), Stub):
            named = _of_torch(found["G_ema"])
        elif isinstance(found, (tuple, list)) and len(found) == 3 and all(is_called(one, "Network") for one in found):
            named = _of_tensorflow(found[2])
        else:
            raise FaceswapError(f"{path} holds no generator: neither G_ema of "
                                "stylegan2-ada-pytorch or later, nor (G, D, Gs) of the TensorFlow "
                                "versions. Name another file.")
        return {name: np.ascontiguousarray(array, np.float32) for name, array in named.items()}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, MemoryError, OverflowError) as error:
        raise FaceswapError(f"{path} is damaged, or of a kind that is not known here ({pickles.one_line(error)}). Fetch it again, or another.") from error


def _of_torch(whole: Any) -> dict[str, np.ndarray]:
    """Parameters and buffers of a module and those in it, by their names joined with dots."""
    named, waiting = _Arrays(), [("", whole)]
    for prefix, module in waiting:
        state = _entry(module.args[0], "state") if is_called(module, "_reconstruct_persistent_obj") else module.state
        for kind in "_parameters", "_buffers":
            for name, value in (_entry(state, kind) or {}).items():
                if value is not None:
                    named.add(f"{prefix}{name}", pickles.array(value))
        waiting += [(f"{prefix}{name}.", inner) for name, inner in (_entry(state, "_modules") or {}).items() if inner is not None]
        if len(waiting) > MOST_MODULES or prefix.count(".") > DEEPEST:
            raise ValueError("its modules have no end")
    return named


class _Arrays(dict):
    """Arrays by name, with a bound of what they take in all."""

    def __init__(self):
        super().__init__()
        self._bytes = 0

    def add(self, name: str, array: np.ndarray) -> None:
        self._bytes += 4 * array.size
        if self._bytes > pickles.LARGEST or len(self) > MOST_MODULES:
            raise ValueError("its arrays take more memory than those of any generator")
        self[name] = array


def _entry(holder: Any, name: str) -> Any:
    """What a dictionary, or a stub of one, holds by this name."""
    return holder.entries[name] if isinstance(holder, Stub) else holder[name]


def _of_tensorflow(network: Any) -> dict[str, np.ndarray]:
    """The same names and layouts of a `Network` of TensorFlow, with the networks in it."""
    named = _Arrays()
    for part in ("mapping", "synthesis"):
        inner = _entry(_entry(network.state, "components"), part)
        for name, value in _entry(inner.state, "variables"):
            if found := _translated(f"{part}/{name}", pickles.array(value)):
                named.add(*found)
    for name, value in _entry(network.state, "variables"):
        if name == "dlatent_avg":
            named.add("mapping.w_avg", pickles.array(value))
    return named


def _translated(name: str, array: np.ndarray) -> tuple[str, np.ndarray] | None:
    """None for what the other layout has no place for, such as the constant `lod`."""
    if name == "mapping/LabelConcat/weight":
        return "mapping.embed.weight", array
    if found := re.fullmatch(r"mapping/Dense(\d{1,2})/(weight|bias)", name):
        return f"mapping.fc{found[1]}.{found[2]}", array.T
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", array[0]
    if found := re.fullmatch(r"synthesis/noise(\d{1,2})", name):
        number = int(found[1])  # 0 at 4 pixels, then two at each size
        return f"synthesis.b{2 ** ((number + 5) // 2)}.conv{(number + 1) % 2}.noise_const", array[0, 0]
    if found := re.fullmatch(r"synthesis/(\d{1,4})x\d{1,4}/(Conv|Conv0_up|Conv1|ToRGB)/(\w+)", name):
        layer = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}[found[2]]
        place = f"synthesis.b{found[1]}.{layer}"
        if found[3] == "weight":  # (h, w, in, out); what enlarges is a transposed convolution there, whose kernel is the other way round
            return f"{place}.weight", (array[::-1, ::-1] if layer == "conv0" else array).transpose(3, 2, 0, 1)
        if found[3] == "mod_weight":
            return f"{place}.affine.weight", array.T
        if found[3] == "mod_bias":
            return f"{place}.affine.bias", array + 1
        if found[3] in ("bias", "noise_strength"):
            return f"{place}.{found[3]}", array
    return None


def load_published(path: Path) -> Generator:
    """The generator in the file `path`. Raises FaceswapError where there is none of the design of 2020."""
    named = read_published(path)
    if other := _other_kind(named):
        raise FaceswapError(f"{path} holds {other}, which is not read. Those of StyleGAN2 are that draw colour pictures without classes.")
    from lib.nn import backend  # imports Keras, which takes seconds

    backend.set_up("float32")
    try:
        model = MODELS.create("stylegan", **_options(named))
        networks = model.networks()
        _fill(networks, named)
    except (ValueError, KeyError) as error:
        raise FaceswapError(f"{path} holds a generator of another design ({error}). Those of "
                            "StyleGAN2 are read, of skip connections and without classes, of 32 to "
                            "1024 pixels.") from error
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Generator(path.stem, networks["mapping"], networks["synthesis"], named["mapping.w_avg"], model.size, COVERAGE, digest,
                     published=True)


def _other_kind(named: dict[str, np.ndarray]) -> str | None:
    """What kind of generator these arrays are of, where it is one that `_fill` cannot read; None where none is known by its arrays."""
    if any(name.startswith("synthesis.input.") for name in named):
        return "a generator of StyleGAN3"
    if any(name.startswith("mapping.embed.") for name in named):
        return "a generator that draws classes (conditional)"
    if any(name.endswith(".skip.weight") for name in named):
        return "a generator with residual connections"
    channels = {len(array) for name, array in named.items() if name.endswith(".torgb.weight")}
    if channels == {1}:
        return "a generator of grey pictures"
    return f"a generator of pictures with {max(channels)} channels" if channels and channels != {3} else None


def _options(named: dict[str, np.ndarray]) -> dict[str, int]:
    """Those of the model with networks as large as these arrays. Raises ValueError where there is none, KeyError where one is missing."""
    sides = sorted(int(found[1]) for name in named if (found := re.fullmatch(r"synthesis\.b(\d{1,4})\.torgb\.weight", name)))
    if not 4 <= len(sides) <= 9 or sides != [4 << place for place in range(len(sides))]:
        raise ValueError("its layers do not double from 4 pixels on, each with a picture of its own")
    size, channels = sides[-1], [len(named[f"synthesis.b{side}.conv1.bias"]) for side in sides]
    options = {"size": size, "width": size * channels[-1], "most": max(channels), "latent": len(named["mapping.w_avg"]),
               "mapping": sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in named)}
    if channels != [min(options["width"] // side, options["most"]) for side in sides]:
        raise ValueError(f"it has {channels} channels")
    return options


def _fill(networks: dict[str, keras.Model], named: dict[str, np.ndarray]) -> None:
    """Sets the weights of mapping and synthesis. Raises ValueError where an array has another shape, or one is left, KeyError where one is
    missing."""
    left = {name: array for name, array in named.items() if not name.endswith("resample_filter")}

    def fill(layer: keras.layers.Layer, **sources: Any) -> None:
        for attribute, (name, changed) in sources.items():
            variable, array = getattr(layer, attribute), changed(left.pop(name))
            if tuple(variable.shape) != array.shape:
                raise ValueError(f"{name} is {array.shape}, not {tuple(variable.shape)}")
            variable.assign(array)

    def same(array: np.ndarray) -> np.ndarray:
        return array

    def turned(array: np.ndarray) -> np.ndarray:
        return array.T

    def kernel(array: np.ndarray) -> np.ndarray:
        return array.transpose(2, 3, 1, 0)

    def flipped(array: np.ndarray) -> np.ndarray:  # what enlarges is a convolution there, else all is correlation
        return kernel(array)[::-1, ::-1]

    mapping, layers = networks["mapping"], _in_order(networks["synthesis"])
    for number, dense in enumerate(_in_order(mapping)["EqualDense"]):
        fill(dense, kernel=(f"mapping.fc{number}.weight", turned), bias=(f"mapping.fc{number}.bias", same))
    fill(mapping.get_layer("mean_style"), mean=("mapping.w_avg", same))
    fill(layers["Constant"][0], picture=("synthesis.b4.const", lambda array: array.transpose(1, 2, 0)[None]))
    convolutions, noises, biases = (iter(layers[name]) for name in ("ModulatedConv2D", "Noise", "Bias"))
    for side in (4 << place for place in range(len(layers["ModulatedConv2D"]) // 3 + 1)):
        for part in ("conv0", "conv1", "torgb")[side == 4:]:
            name, convolution = f"synthesis.b{side}.{part}", next(convolutions)
            fill(convolution, kernel=(f"{name}.weight", flipped if part == "conv0" else kernel))
            fill(convolution.style, kernel=(f"{name}.affine.weight", turned), bias=(f"{name}.affine.bias", same))
            fill(next(biases), bias=(f"{name}.bias", same))
            if part != "torgb":
                fill(next(noises), strength=(f"{name}.noise_strength", lambda array: array.reshape(1)),
                     fixed=(f"{name}.noise_const", lambda array: array[None, ..., None]))
    if left:
        raise ValueError(f"it has {next(iter(left))} besides")


def _in_order(network: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """Its layers by their class, in the order in which they were made."""
    found: dict[str, list[keras.layers.Layer]] = {}
    for layer in sorted(network.layers, key=lambda layer: natural_key(layer.name)):
        found.setdefault(type(layer).__name__, []).append(layer)
    return found
