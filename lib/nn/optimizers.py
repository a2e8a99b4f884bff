"""Optimizers that Keras lacks, and extensions of its own: adaptive clipping, rate dropout."""

from __future__ import annotations

import keras
from keras import ops

from lib.nn.private import add_state, built_variables, variable_index

UNDECAYED = ["bias", "gamma", "beta"]  # names of variables that weight decay leaves alone
HISTORY = 1000  # iterations whose gradients' norms are remembered


@keras.saving.register_keras_serializable("faceswap")
class AdaBelief(keras.optimizers.Optimizer):
    """Adam with the variance of the gradient in place of its mean square.

    Without `corrected`, the means are not corrected for beginning at zero.
    "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients", NeurIPS, 2020.
    """

    def __init__(self, learning_rate: float = 1e-3, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-14, corrected: bool = True, name: str = "adabelief", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.corrected = beta_1, beta_2, epsilon, corrected

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._means, self._spreads = self.add_optimizer_variables(variables, ["mean", "spread"])

    def update_step(self, gradient, variable, learning_rate):
        index, kind = variable_index(self, variable), variable.dtype
        mean, spread = self._means[index], self._spreads[index]
        gradient, rate = ops.cast(gradient, kind), ops.cast(learning_rate, kind)
        self.assign_add(mean, (gradient - mean) * (1 - self.beta_1))
        self.assign_add(spread, (ops.square(gradient - mean) - spread) * (1 - self.beta_2)
                        + self.epsilon)
        if self.corrected:
            step = ops.cast(self.iterations + 1, kind)
            beta_1, beta_2 = ops.cast(self.beta_1, kind), ops.cast(self.beta_2, kind)
            rate = (rate * ops.sqrt(1 - ops.power(beta_2, step))
                    / (1 - ops.power(beta_1, step)))
        self.assign_sub(variable, rate * mean / (ops.sqrt(spread) + self.epsilon))

    def get_config(self):
        return super().get_config() | {"beta_1": self.beta_1, "beta_2": self.beta_2,
                                       "epsilon": self.epsilon, "corrected": self.corrected}


def extended(optimizer: keras.optimizers.Optimizer, percentile: float | None = None,
             kept: float = 1.0, seed: int = 0) -> keras.optimizers.Optimizer:
    """`optimizer`, not built yet, that clips gradients by their history and leaves updates of
    single weights out.

    With a `percentile`, gradients whose global norm exceeds that of the last HISTORY ones are
    scaled down to it: "AutoClip: Adaptive Gradient Clipping for Source Separation Networks", MLSP,
    2020. Of the weights, each is updated with probability `kept`: "Learning Rate Dropout", 2019.
    """
    if percentile is None and kept == 1.0:
        return optimizer
    kind = type(optimizer)

    class Extended(kind):
        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            if percentile is not None:
                self.norms = self.add_variable((HISTORY,), name="norms")
            if kept < 1:
                self.seeds = keras.random.SeedGenerator(seed)
                add_state(self, self.seeds.state)

        def apply(self, grads, trainable_variables=None):
            variables = built_variables(self) if trainable_variables is None \
                else list(trainable_variables)
            if percentile is not None:
                grads = _clipped(self, list(grads), percentile)
            before = [ops.copy(ops.convert_to_tensor(variable))
                      for variable in variables] if kept < 1 else []
            super().apply(grads, trainable_variables)
            for variable, value in zip(variables, before):
                moves = ops.cast(keras.random.uniform(variable.shape, seed=self.seeds) < kept,
                                 variable.dtype)
                variable.assign(value + (variable - value) * moves)

    Extended.__name__ = Extended.__qualname__ = kind.__name__
    extension = Extended.from_config(optimizer.get_config())
    extension.exclude_from_weight_decay(var_names=UNDECAYED)
    return extension


def _clipped(optimizer, gradients: list, percentile: float) -> list:
    """Scales gradients down to the percentile of the norms of the last HISTORY ones."""
    existing = [gradient for gradient in gradients if gradient is not None]
    norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(gradient, "float32")))
                        for gradient in existing))
    places, iterations = ops.arange(HISTORY), ops.cast(optimizer.iterations, "int32")
    norms = ops.where(places == iterations % HISTORY, norm,
                      ops.convert_to_tensor(optimizer.norms))
    optimizer.norms.assign(norms)
    count = ops.minimum(iterations + 1, HISTORY)
    ordered = ops.sort(ops.where(places < count, norms, float("inf")))
    place = ops.floor(percentile / 100 * ops.cast(count - 1, "float32"))
    most = ops.take(ordered, ops.cast(place, "int32"))
    scale = ops.minimum(1.0, most / ops.maximum(norm, 1e-12))
    return [gradient if gradient is None else gradient * ops.cast(scale, gradient.dtype)
            for gradient in gradients]
