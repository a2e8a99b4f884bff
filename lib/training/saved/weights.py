"""The files of a checkpoint: weights of networks, states of optimizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.errors import FaceswapError
from lib.files import hdf5

if TYPE_CHECKING:
    import keras

SLACK = 1 << 20  # bytes of a file beside the weights


def write(folder: Path, networks: Mapping[str, keras.Model], averages: Mapping[str, keras.Model],
          optimizers: Mapping[str, keras.optimizers.Optimizer]) -> None:
    """Writes networks, their averages and optimizers into `folder`. Raises OSError."""
    for name, network in networks.items():
        network.save_weights(folder / f"{name}.weights.h5")
    for name, network in averages.items():
        network.save_weights(folder / f"{name}.averaged.weights.h5")
    for group, optimizer in optimizers.items():
        _write_variables(folder / f"{group}.optimizer.h5", optimizer.variables)


def has_averages(folder: Path) -> bool:
    """Whether averaged weights are among what was saved."""
    return any(folder.glob("*.averaged.weights.h5"))


def load_networks(folder: Path, networks: Mapping[str, keras.Model], averaged: bool) -> None:
    """Reads the weights of a checkpoint into `networks`, `averaged` ones of those that have them.

    Raises FaceswapError where they do not fit.
    """
    for name, network in networks.items():
        path = folder / f"{name}.averaged.weights.h5"
        if not averaged or not path.exists():
            path = folder / f"{name}.weights.h5"
        _check_size(path, 4 * network.count_params())
        try:
            hdf5.check_numbers(path, named=False)
            network.load_weights(path)
        except (*hdf5.DAMAGE, MemoryError) as error:
            raise FaceswapError(f"{path} does not hold the weights of this model "
                                f"({(str(error) or 'damaged').splitlines()[0]}). Restore the model "
                                "folder from a copy.") from error


def load_optimizers(folder: Path, optimizers: Mapping[str, keras.optimizers.Optimizer]) -> None:
    """Reads the state of built optimizers. Raises FaceswapError where it does not fit."""
    for group, optimizer in optimizers.items():
        load_variables(folder / f"{group}.optimizer.h5", optimizer.variables)


def _check_size(path: Path, expected: int) -> None:
    """Refuses a file far larger than the network, before memory is taken for it."""
    if not path.exists():
        raise FaceswapError(f"{path} is missing. Restore the model folder from a copy.")
    if path.stat().st_size > 2 * expected + SLACK:
        raise FaceswapError(f"{path} is far larger than this model's weights. It belongs to "
                            "another model.")


def _write_variables(path: Path, variables: Sequence[keras.Variable]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for number, variable in enumerate(variables):
            file.create_dataset(f"{number:05d}", data=variable.numpy())


def load_variables(path: Path, variables: Sequence[keras.Variable]) -> None:
    """Reads an optimizer's variables. Raises FaceswapError where the file holds others."""
    try:
        with hdf5.open_hdf5(path, named=False) as file:
            names = sorted(file)
            if [hdf5.dataset(file, name).shape for name in names] != [
                    tuple(variable.shape) for variable in variables]:
                raise ValueError("other shapes")
            for name, variable in zip(names, variables):
                variable.assign(hdf5.numbers(file, name))
    except hdf5.DAMAGE as error:
        raise FaceswapError(f"{path} does not hold this model's optimizer "
                            f"({(str(error) or 'damaged').splitlines()[0]}). Restore the model "
                            "folder from a copy.") from error
