"""What `train` answers without training: size and speed of the networks, a good learning rate."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib.jobs.train.preparation import beginning, checked_folder, load_faces, prepare
from lib.jobs.train.settings import TrainSettings
from lib.system.progress import job
from lib.training.saved import checkpoint, weights

if TYPE_CHECKING:
    from lib.training.run.estimate import Cost


@dataclass(frozen=True)
class Summary:
    """What a model is made of and what it costs on this machine."""

    model: str
    size: int  # side of the crop that it sees, pixels
    coverage: str
    precision: str
    networks: Mapping[str, Cost]
    identities: int
    batch: int  # faces of each identity
    memory: int  # bytes
    speed: float  # images/s


@dataclass(frozen=True)
class RateSearch:
    """Learning rates that were tried."""

    rate: float  # that suits
    lowest: float
    highest: float  # before the loss left all bounds
    plot: Path


@job
def summarize(settings: TrainSettings) -> Summary:
    """The networks of a model, their size and speed here. Trains and saves nothing."""
    with checked_folder(settings):
        prepared = prepare(settings)
        from lib.training.run import assembly, estimate

        model, plan = prepared.model, prepared.plan
        precision = prepared.description["precision"]
        parts = assembly.make_parts(model, {}, replace(plan, on_device=False))
        costs = {name: estimate.cost(network, model.size)
                 for name, network in parts.networks.items()}
        speed = estimate.images_per_second(model, parts, plan.batch)
        identities = len(model.identities)
        memory = estimate.memory(costs, identities * plan.batch, bool(plan.averaged), precision)
        return Summary(settings.model, model.size, model.coverage, precision, costs, identities,
                       plan.batch, memory, speed)


@job
def find_rate(settings: TrainSettings) -> RateSearch:
    """Tries learning rates on networks that are thrown away, and plots the losses into rate.png.

    Raises FaceswapError where no rate can be told.
    """
    with checked_folder(settings):
        prepared = prepare(settings)
        faces, plan = load_faces(prepared)
        from lib.training.run import assembly, estimate
        from lib.training.step.choice import make_step
        from lib.training.watch import preview

        parts = assembly.make_parts(prepared.model, faces, plan, beginning(prepared))
        if newest := checkpoint.newest(settings.model_dir):
            weights.load_networks(newest[0], parts.networks, averaged=False)
        with contextlib.closing(assembly.make_feed(prepared.model, faces, plan)) as feed:
            points = estimate.find_rate(make_step(parts), feed)
        rate = estimate.good_rate(points)
        plot = settings.model_dir / "rate.png"
        preview.plot_rates(points, plot)
        return RateSearch(rate, points[0][0], points[-1][0], plot)
