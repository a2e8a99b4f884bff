"""The training step of the backend that Keras runs on."""

from __future__ import annotations

from lib.errors import FaceswapError
from lib.nn import backend
from lib.training.step.base import Parts, Step


def make_step(parts: Parts) -> Step:
    """The step of the backend that Keras runs on. Raises FaceswapError for one that has none."""
    if backend.BACKEND == "tensorflow":
        from lib.training.step.tensorflow import TensorFlowStep

        return TensorFlowStep(parts)
    if backend.BACKEND == "jax":
        from lib.training.step.jax import JaxStep

        return JaxStep(parts)
    if backend.BACKEND == "torch":
        from lib.training.step.torch import TorchStep

        return TorchStep(parts)
    raise FaceswapError("Training runs on the backends tensorflow, jax and torch, not on "
                        f"{backend.BACKEND}. Unset KERAS_BACKEND, or name one of them.")
