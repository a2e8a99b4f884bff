"""What differs between Keras's backends: precision, repeatability, the devices that compute."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lib.errors import FaceswapError
from lib.silence import silent_start
from lib.system import device

logger = logging.getLogger(__name__)

# TensorFlow leaves oneDNN's convolutions off on processors without AVX512, where they train 1.3 to
# 2 times as fast, too
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# JAX leaves memory to other processes, too
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

# what is imported stays: to look for garbage in it takes a second, now and as the program ends
gc.disable()
with silent_start():
    try:
        import keras
    except (ImportError, ValueError) as error:
        name = device.backend()
        raise FaceswapError(f"Keras cannot compute with {name!r}: {error}. Install it (pip install "
                            f"{name}), or set KERAS_BACKEND to "
                            "tensorflow, jax or torch.") from error

    BACKEND = keras.backend.backend()
    if BACKEND == "tensorflow":
        import tensorflow as tf

        tf.config.list_physical_devices()
    elif BACKEND == "jax":
        import jax

        # What solves systems of equations waits for threads of the pool that it runs on: two at
        # once, one for each identity whose faces are bent, wait forever on two cores. A flag that
        # another version does not know ends the program.
        if jax.__version__.startswith("0.10."):
            flags = os.environ.get("XLA_FLAGS", "")
            more = "--xla_cpu_enable_concurrency_optimized_scheduler=false"
            os.environ["XLA_FLAGS"] = f"{flags} {more}".strip()
    elif BACKEND == "torch":
        import torch
gc.freeze()
gc.enable()

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True)
class Devices:
    """What a step computes on: one device, or several that share each batch, on one machine or
    several.
    """

    count: int = 1  # in all
    workers: int = 1  # machines, or processes that stand for such
    worker: int = 0  # the number of this one; 0 saves and reports
    strategy: Any = None  # TensorFlow's, for several

    def scope(self) -> contextlib.AbstractContextManager:
        """The scope in which networks and optimizers are created."""
        return self.strategy.scope() if self.strategy is not None else contextlib.nullcontext()

    def agreed(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """The sum, number by number, of what every worker gives.

        All machines must call it equally often and in the same order: each call waits until all
        have called, so one call more on one of them hangs all.
        """
        if self.workers == 1:
            return np.asarray(values)
        here = self.count // self.workers  # devices, each of which adds its part
        return self._summed(tf.constant(np.asarray(values, np.float64) / here)).numpy()

    @cached_property
    def _summed(self):
        strategy, add = self.strategy, tf.distribute.ReduceOp.SUM
        return tf.function(lambda values: strategy.reduce(add, strategy.run(tf.identity, (values,)),
                                                          axis=None), autograph=False)


def set_up(precision: str, repeatable_seed: int | None = None, devices: int = 1) -> Devices:
    """`precision` is a key of POLICIES. With a seed, operations run in a fixed order. `devices`
    share each batch, 0: all there are.

    Where TF_CONFIG names other machines, all of theirs do. Call it before anything is computed.
    Raises FaceswapError where there are fewer devices.
    """
    if BACKEND != "tensorflow" and device.worker()[1] > 1:
        raise FaceswapError("TF_CONFIG names several machines: they train together on the backend "
                            "tensorflow alone. Unset it, or KERAS_BACKEND.")
    if BACKEND == "jax" and precision == "float16":
        raise FaceswapError("float16 is not for the backend jax. Choose --precision bfloat16 or "
                            "float32.")
    keras.config.set_dtype_policy(POLICIES[precision])
    if BACKEND == "tensorflow":
        # TensorFlow's CPU rewriter fuses convolution, addition and leaky ReLU with slope 0.2,
        # whatever slope was asked for.
        tf.config.optimizer.set_experimental_options({"remapping": False})
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        chosen = _tensorflow_devices(devices)  # before anything else starts TensorFlow's devices
        if repeatable_seed is not None:
            tf.config.experimental.enable_op_determinism()
    elif BACKEND == "jax":
        chosen = _jax_devices(devices)
    else:
        _check_devices(devices or 1, 1)
        chosen = Devices()
    if BACKEND == "torch" and repeatable_seed is not None:
        torch.use_deterministic_algorithms(True, warn_only=True)
    if repeatable_seed is not None:
        keras.utils.set_random_seed(repeatable_seed)
    return chosen


def _tensorflow_devices(count: int) -> Devices:
    worker, workers = device.worker()
    if workers > 1:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        return Devices(strategy.num_replicas_in_sync, workers, worker, strategy)
    gpus = tf.config.list_physical_devices("GPU")
    count = count or max(1, len(gpus))
    if count == 1:
        return Devices()
    if not gpus:  # parts of the processor: good for nothing but to try it
        logger.warning("There is no GPU here: %d parts of the processor share each batch, which is "
                       "slower than the whole of it.", count)
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                                   [tf.config.LogicalDeviceConfiguration()] * count)
    names = [gpu.name for gpu in tf.config.list_logical_devices("GPU" if gpus else "CPU")]
    _check_devices(count, len(names))
    return Devices(count, strategy=tf.distribute.MirroredStrategy(names[:count]))


def _check_devices(count: int, available: int) -> None:
    if count > available:
        raise FaceswapError(f"--devices {count}: {available} can train together on the backend "
                            f"{BACKEND}. Ask for no more.")


def _jax_devices(count: int) -> Devices:
    available = jax.devices()
    count = count or len(available)
    _check_devices(count, len(available))
    if count > 1:
        names = [f"{gpu.platform}:{gpu.id}" for gpu in available[:count]]
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=names))
    return Devices(count)


def fused(function: Callable) -> Callable:
    """`function` of tensors, compiled into one operation on TensorFlow, which passes through memory
    once.
    """
    return tf.function(function, autograph=False,
                       jit_compile=True) if BACKEND == "tensorflow" else function


def compiled(function: Callable) -> Callable:
    """`function` of tensors, which may compute gradients, compiled where the backend can.
    """
    if BACKEND == "tensorflow":
        return tf.function(function, autograph=False)
    return jax.jit(function) if BACKEND == "jax" else function


def gpu_memory() -> int | None:
    """Bytes of memory of the GPU that trains; None on a CPU."""
    on_gpu = {"tensorflow": lambda: bool(tf.config.list_physical_devices("GPU")),
              "jax": lambda: jax.devices()[0].platform == "gpu",
              "torch": lambda: torch.cuda.is_available()}
    if BACKEND not in on_gpu or not on_gpu[BACKEND]():
        return None
    return min((gpu.memory for gpu in device.gpus()), default=None)


def gradient(function: Callable, x: Any) -> Any:
    """The gradient of the sum of function(x) by x, of the shape of x, itself differentiable.
    """
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)
    if BACKEND == "jax":
        return jax.grad(lambda x: jax.numpy.sum(function(x)))(x)
    x = x if x.requires_grad else x.detach().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]
