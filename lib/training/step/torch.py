"""The training step in PyTorch."""

from __future__ import annotations

import keras
import torch

from lib.nn.private import torch_device
from lib.training.step.base import Parts, Step


class TorchStep(Step):
    def __init__(self, parts: Parts):
        super().__init__(parts)
        self._device = torch_device()

    def _run(self, fed, numbers, rates, shares):
        fed = keras.tree.map_structure(lambda array: torch.as_tensor(array).to(self._device,
                                                                               non_blocking=True),
                                       fed)
        return sum(self._iterate(keras.tree.map_structure(lambda array, place=place: array[place],
                                                          fed), int(number), float(rate),
                                 float(share))
                   for place, (number, rate, share) in enumerate(zip(numbers, rates, shares)))

    def _iterate(self, fed, number: int, rate: float, share: float):
        parts = self.parts
        batch = parts.prepare(fed, parts.held)
        rows = [self._nothing(place) if number % phase.every else self._phase(place, batch, rate)
                for place, phase in enumerate(parts.phases)]
        with torch.no_grad():
            parts.follow(share)
        return torch.cat(rows)

    def _phase(self, place: int, batch, rate: float):
        parts = self.parts
        losses = parts.phases[place].losses(parts.networks, batch)
        totals = parts.scaled(losses)
        gradients = {group: torch.autograd.grad(total,
                                                [variable.value
                                                 for variable in parts.trained[group]],
                                                retain_graph=len(totals) > 1, allow_unused=True)
                     for group, total in totals.items()}
        with torch.no_grad():
            row = self._row(place, parts.named(losses), gradients)
            parts.apply(gradients, rate)
        return row.detach()
