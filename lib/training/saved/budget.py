"""The size of the networks that a model folder describes, measured before memory is taken for them.

Folders are exchanged, and a few bytes of `options.json` can describe networks of hundreds of
gigabytes.
"""

from __future__ import annotations

import math
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lib.errors import FaceswapError
from lib.system import device
from lib.training.saved import checkpoint

if TYPE_CHECKING:
    import keras

    from lib.training.model.contract import FaceModel

BYTES_OF_WEIGHT = 4  # float32, at any precision
TOLERANCE = 1 << 20  # bytes, of what a file holds beside the weights


def build_networks(folder: Path, model: FaceModel) -> dict[str, keras.Model]:
    """The networks of `model`, which the folder `folder` describes. Raises FaceswapError as
    `check_networks` does.
    """
    check_networks(folder, model)
    return model.networks()


def check_networks(folder: Path, model: FaceModel) -> None:
    """Raises FaceswapError where the networks are far larger than the files that hold their
    weights, or than the memory.
    """
    sizes = network_bytes(model)
    for name, size in sizes.items():
        files = [path.stat().st_size for save in (*checkpoint.saves(folder),
                                                  *checkpoint.snapshots(folder))
                 if (path := save / f"{name}.weights.h5").is_file()]
        if files and size > 2 * max(files) + TOLERANCE:
            raise FaceswapError(f"{folder / 'options.json'} describes another model: its network "
                                f"{name!r} has {size / 1e6:,.1f} MB of "
                                f"weights, its files hold {max(files) / 1e6:,.1f} MB. Restore the "
                                "model folder from a copy.")
    total = device.memory()[1]
    if sum(sizes.values()) > total:
        raise FaceswapError(f"The networks of the model in {folder} need "
                            f"{sum(sizes.values()) / 1e9:,.1f} GB; this machine has "
                            f"{total / 1e9:,.1f} GB of memory. Choose a smaller model, or use a "
                            "larger machine.")


def network_bytes(model: FaceModel) -> dict[str, int]:
    """Bytes of the weights of each network of `model`, which is built without memory for them."""
    import keras

    def measure() -> dict[str, int]:
        with keras.StatelessScope(initialize_variables=False):
            networks = model.networks()
        return {name: BYTES_OF_WEIGHT * sum(math.prod(variable.shape)
                                            for variable in network.weights)
                for name, network in networks.items()}

    state = random.getstate()  # of which Keras draws the seeds of layers such as dropout
    try:
        # Keras keeps a list of variables that await their values, for each thread
        with ThreadPoolExecutor(1) as apart:
            return apart.submit(measure).result()
    finally:
        random.setstate(state)
