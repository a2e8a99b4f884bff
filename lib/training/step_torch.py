"""The training step in PyTorch."""

from __future__ import annotations

import keras
import torch

from lib.training.step import Parts, Step


class TorchStep(Step):
    def __init__(self, parts: Parts):
        super().__init__(parts)
        self._device = keras.src.backend.torch.core.get_device()

    def _run(self, fed, rates, shares):
        fed = keras.tree.map_structure(lambda array: torch.as_tensor(array).to(self._device, non_blocking=True), fed)
        return sum(self._one(keras.tree.map_structure(lambda array, number=number: array[number], fed), float(rate), float(share))
                   for number, (rate, share) in enumerate(zip(rates, shares)))

    def _one(self, fed, rate: float, share: float):
        parts = self.parts
        losses = parts.model.losses(parts.networks, parts.prepare(fed, parts.held))
        totals = parts.scaled(losses)
        gradients = {group: torch.autograd.grad(total, [variable.value for variable in parts.trained[group]], retain_graph=len(totals) > 1,
                                                allow_unused=True) for group, total in totals.items()}
        with torch.no_grad():
            row = self._stacked(losses)
            parts.apply(gradients, rate)
            parts.follow(share)
        return row.detach()
