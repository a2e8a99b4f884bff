"""All that is used of Keras and TensorFlow beyond what they promise to keep; each has a test that
fails where an upgrade changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def layers_of(network: keras.Layer, include_self: bool = True) -> list[keras.Layer]:
    """All layers of a network, those within others too."""
    return list(network._flatten_layers(include_self=include_self))


def calls_of(layer: keras.Layer) -> list[tuple[tuple, tuple]]:
    """Shapes of the first input, () if it has none, and the first output of each place in a network
    where `layer` is called.
    """
    nodes = getattr(layer, "_inbound_nodes", ())  # a layer that was never called in a network
    return [(node.input_tensors[0].shape if node.input_tensors else (),
             node.output_tensors[0].shape) for node in nodes]


def variable_index(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> int:
    """Which of the variables that `optimizer` was built for `variable` is."""
    return optimizer._get_variable_index(variable)


def adam_moments(optimizer: keras.optimizers.Adam, variable: keras.Variable) -> tuple[Any, Any]:
    """The mean of a variable's gradients, and of their squares."""
    index = variable_index(optimizer, variable)
    return optimizer._momentums[index], optimizer._velocities[index]


def built_variables(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """The variables that an optimizer was built for."""
    return list(optimizer._trainable_variables)


def add_state(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> None:
    """Makes `variable` one of the optimizer's own, which is saved with it."""
    optimizer._track_variable(variable)


def gather_no_gradients(optimizer: keras.optimizers.Optimizer) -> None:
    """On TensorFlow: `optimizer` takes gradients as they are, instead of summing them over devices.
    """
    optimizer._all_reduce_sum_gradients = list


def merge_replicas(function: Callable, strategy: Any, *arguments: Any) -> None:
    """On TensorFlow: calls `function(strategy, *arguments)` once for all devices of `strategy`."""
    import tensorflow as tf

    tf.__internal__.distribute.interim.maybe_merge_call(function, strategy, *arguments)


def torch_device() -> str:
    """On PyTorch: where Keras puts its tensors."""
    from keras.src.backend.torch.core import get_device

    return get_device()
