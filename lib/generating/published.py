"""Weights of StyleGAN in the pickle files of the reference repositories.

Names are those of stylegan2-ada-pytorch: `mapping.fc0.weight`, `synthesis.b8.conv0.affine.bias`.
Files of its TensorFlow predecessor of 2020 are converted to the same names and layouts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
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

COVERAGE = "head"  # the nearest to the crops of published models
LARGEST = 1024  # pixels
# Modules, or arrays, and nested modules: generators have some hundred, and 3
MOST_MODULES, DEEPEST = 5000, 20


def read_published(path: Path) -> dict[str, np.ndarray]:
    """float32 arrays of the averaged generator in the file `path`, by name. Raises FaceswapError
    where there is none, or it is damaged."""
    content = pickles.read(path)
    try:
        if isinstance(content, dict) and isinstance(content.get("G_ema"), Stub):
            arrays = _torch_arrays(content["G_ema"])
        elif (isinstance(content, (tuple, list)) and len(content) == 3
                and all(is_called(item, "Network") for item in content)):
            arrays = _tensorflow_arrays(content[2])
        else:
            raise FaceswapError(f"{path} holds no generator: neither G_ema of "
                                "stylegan2-ada-pytorch or later, nor (G, D, Gs) of the TensorFlow "
                                "versions. Name another file.")
        return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    except pickles.DAMAGE as error:
        raise FaceswapError(f"{path} is damaged, or of an unknown kind "
                            f"({pickles.one_line(error)}). Download it again, or another "
                            "file.") from error


def _torch_arrays(generator: Any) -> dict[str, np.ndarray]:
    """Parameters and buffers of a module and those in it, by their names joined with dots."""
    arrays, waiting = _Arrays(), [("", generator)]
    for prefix, module in waiting:
        state = module.state
        if is_called(module, "_reconstruct_persistent_obj"):
            state = _entry(module.args[0], "state")
        for kind in "_parameters", "_buffers":
            for name, value in (_entry(state, kind) or {}).items():
                if value is not None:
                    arrays.add(f"{prefix}{name}", pickles.array(value))
        modules = _entry(state, "_modules") or {}
        waiting += [(f"{prefix}{name}.", inner) for name, inner in modules.items()
                    if inner is not None]
        if len(waiting) > MOST_MODULES or prefix.count(".") > DEEPEST:
            raise ValueError("it has too many modules")
    return arrays


class _Arrays(dict):
    """Arrays by name, with a bound on their memory."""

    def __init__(self):
        super().__init__()
        self._bytes = 0

    def add(self, name: str, array: np.ndarray) -> None:
        self._bytes += 4 * array.size
        if self._bytes > pickles.LARGEST or len(self) > MOST_MODULES:
            raise ValueError("its arrays take more memory than those of any generator")
        self[name] = array


def _entry(holder: Any, name: str) -> Any:
    """An entry of a dictionary, or of a stub of one."""
    return holder.entries[name] if isinstance(holder, Stub) else holder[name]


def _tensorflow_arrays(network: Any) -> dict[str, np.ndarray]:
    """The arrays of a TensorFlow `Network` and the networks in it, in the names and layouts of
    PyTorch."""
    arrays = _Arrays()
    for part in ("mapping", "synthesis"):
        inner = _entry(_entry(network.state, "components"), part)
        for name, value in _entry(inner.state, "variables"):
            if converted := _convert(f"{part}/{name}", pickles.array(value)):
                arrays.add(*converted)
    for name, value in _entry(network.state, "variables"):
        if name == "dlatent_avg":
            arrays.add("mapping.w_avg", pickles.array(value))
    return arrays


def _convert(name: str, array: np.ndarray) -> tuple[str, np.ndarray] | None:
    """Name and layout in PyTorch; None for arrays that it lacks, such as the constant `lod`."""
    if name == "mapping/LabelConcat/weight":
        return "mapping.embed.weight", array
    if match := re.fullmatch(r"mapping/Dense(\d{1,2})/(weight|bias)", name):
        return f"mapping.fc{match[1]}.{match[2]}", array.T
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", array[0]
    if match := re.fullmatch(r"synthesis/noise(\d{1,2})", name):
        number = int(match[1])  # 0 at 4 pixels, then two at each size
        side, layer = 2 ** ((number + 5) // 2), (number + 1) % 2
        return f"synthesis.b{side}.conv{layer}.noise_const", array[0, 0]
    if match := re.fullmatch(r"synthesis/(\d{1,4})x\d{1,4}/(Conv|Conv0_up|Conv1|ToRGB)/(\w+)",
                             name):
        layer = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}[match[2]]
        place = f"synthesis.b{match[1]}.{layer}"
        if match[3] == "weight":  # (h, w, in, out); conv0 is transposed there, its kernel flipped
            flipped = array[::-1, ::-1] if layer == "conv0" else array
            return f"{place}.weight", flipped.transpose(3, 2, 0, 1)
        if match[3] == "mod_weight":
            return f"{place}.affine.weight", array.T
        if match[3] == "mod_bias":
            return f"{place}.affine.bias", array + 1
        if match[3] in ("bias", "noise_strength"):
            return f"{place}.{match[3]}", array
    return None


def load_published(path: Path) -> Generator:
    """The generator in the file `path`. Raises FaceswapError where it is not a StyleGAN2."""
    arrays = read_published(path)
    if kind := _unsupported_kind(arrays):
        raise FaceswapError(f"{path} holds {kind}, which is not read. Those of StyleGAN2 are, for "
                            "colour pictures without classes.")
    from lib.nn import backend  # imports Keras, which takes seconds

    backend.set_up("float32")
    try:
        model = MODELS.create("stylegan", **_options(arrays))
        networks = model.networks()
        _fill(networks, arrays)
    except (ValueError, KeyError) as error:
        raise FaceswapError(f"{path} holds a generator of another design ({error}). Those of "
                            "StyleGAN2 are read, with skip connections and without classes, of 32 "
                            "to 1024 pixels.") from error
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Generator(path.stem, networks["mapping"], networks["synthesis"],
                     arrays["mapping.w_avg"], model.size, COVERAGE, digest, published=True)


def _unsupported_kind(arrays: dict[str, np.ndarray]) -> str | None:
    """The kind of generator that these arrays belong to, if it is known and not supported."""
    if any(name.startswith("synthesis.input.") for name in arrays):
        return "a generator of StyleGAN3"
    if any(name.startswith("mapping.embed.") for name in arrays):
        return "a generator that draws classes (conditional)"
    if any(name.endswith(".skip.weight") for name in arrays):
        return "a generator with residual connections"
    channels = {len(array) for name, array in arrays.items() if name.endswith(".torgb.weight")}
    if channels == {1}:
        return "a generator of grey pictures"
    if channels and channels != {3}:
        return f"a generator of pictures with {max(channels)} channels"
    return None


def _options(arrays: dict[str, np.ndarray]) -> dict[str, int]:
    """Options of the model whose networks have these arrays. Raises ValueError where there is none,
    KeyError where an array is missing."""
    matches = (re.fullmatch(r"synthesis\.b(\d{1,4})\.torgb\.weight", name) for name in arrays)
    sides = sorted(int(match[1]) for match in matches if match)
    if not 4 <= len(sides) <= 9 or sides != [4 << place for place in range(len(sides))]:
        raise ValueError("its layers do not double from 4 pixels on, each with its own picture")
    size, channels = sides[-1], [len(arrays[f"synthesis.b{side}.conv1.bias"]) for side in sides]
    options = {"size": size, "width": size * channels[-1], "most": max(channels),
               "latent": len(arrays["mapping.w_avg"]),
               "mapping": sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name))
                              for name in arrays)}
    if channels != [min(options["width"] // side, options["most"]) for side in sides]:
        raise ValueError(f"it has {channels} channels")
    return options


def _fill(networks: dict[str, keras.Model], arrays: dict[str, np.ndarray]) -> None:
    """Sets the weights of mapping and synthesis. Raises ValueError where an array has another
    shape, or is left over, KeyError where one is missing."""
    remaining = {name: array for name, array in arrays.items()
                 if not name.endswith("resample_filter")}

    def fill(variable: keras.Variable, name: str,
             convert: Callable[[np.ndarray], np.ndarray] = np.asarray) -> None:
        array = convert(remaining.pop(name))
        if tuple(variable.shape) != array.shape:
            raise ValueError(f"{name} is {array.shape}, not {tuple(variable.shape)}")
        variable.assign(array)

    def kernel(array: np.ndarray) -> np.ndarray:
        return array.transpose(2, 3, 1, 0)

    def flipped(array: np.ndarray) -> np.ndarray:  # conv0 is a convolution there, others correlate
        return kernel(array)[::-1, ::-1]

    mapping, layers = networks["mapping"], _in_order(networks["synthesis"])
    for number, dense in enumerate(_in_order(mapping)["EqualDense"]):
        fill(dense.kernel, f"mapping.fc{number}.weight", np.transpose)
        fill(dense.bias, f"mapping.fc{number}.bias")
    fill(mapping.get_layer("mean_style").mean, "mapping.w_avg")
    fill(layers["Constant"][0].picture, "synthesis.b4.const",
         lambda array: array.transpose(1, 2, 0)[None])
    convolutions, noises, biases = (iter(layers[name])
                                    for name in ("ModulatedConv2D", "Noise", "Bias"))
    for side in (4 << place for place in range(len(layers["ModulatedConv2D"]) // 3 + 1)):
        for part in ("conv0", "conv1", "torgb")[side == 4:]:
            name, convolution = f"synthesis.b{side}.{part}", next(convolutions)
            fill(convolution.kernel, f"{name}.weight", flipped if part == "conv0" else kernel)
            fill(convolution.style.kernel, f"{name}.affine.weight", np.transpose)
            fill(convolution.style.bias, f"{name}.affine.bias")
            fill(next(biases).bias, f"{name}.bias")
            if part != "torgb":
                noise = next(noises)
                fill(noise.strength, f"{name}.noise_strength", lambda array: array.reshape(1))
                fill(noise.fixed, f"{name}.noise_const", lambda array: array[None, ..., None])
    if remaining:
        raise ValueError(f"it also has {next(iter(remaining))}")


def _in_order(network: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """The layers by their class, in the order in which they were made."""
    layers: dict[str, list[keras.layers.Layer]] = {}
    for layer in sorted(network.layers, key=lambda layer: natural_key(layer.name)):
        layers.setdefault(type(layer).__name__, []).append(layer)
    return layers
