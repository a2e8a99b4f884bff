"""What a run is made of: new networks with their averages and optimizers, and what they are fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lib.nn import initial_weights
from lib.nn.backend import Devices
from lib.system import device
from lib.training.batches import on_device
from lib.training.batches.chance import Chance
from lib.training.batches.faces import Faces
from lib.training.batches.feed import Feed, Host
from lib.training.model.contract import FaceModel, Networks
from lib.training.plan import Plan
from lib.training.step import optimize
from lib.training.step.base import Parts

MOST_AT_ONCE = 16  # iterations that a device is given at once

Begin = Callable[[Networks], None]  # changes new networks before training
ONE_DEVICE = Devices()


def make_parts(model: FaceModel, faces: Mapping[str, Faces], plan: Plan, begin: Begin | None = None,
               devices: Devices = ONE_DEVICE) -> Parts:
    """New networks, as `begin` leaves them, with their averages and optimizers; faces on the device
    where the plan wants them there.
    """
    with devices.scope():
        networks = model.networks()
        initial_weights.draw(networks, plan.seed)
        if begin is not None:
            begin(networks)
        for name in plan.frozen:
            networks[name].trainable = False
        optimizers = optimize.make_optimizers(model, plan.learning_rate, plan.updates, plan.float16,
                                              plan.seed)
        averages = _copies(model, networks) if plan.averaged else {}
        on_the_device = {}
        if plan.on_device:
            on_the_device = {"prepare": on_device.DeviceAugmentation(plan.augmentation, model.size,
                                                                     model.taught),
                             "held": on_device.stocks(faces)}
        return Parts(model, networks, averages, optimizers, averaged=plan.averaged,
                     frozen=plan.frozen, devices=devices, **on_the_device)


def make_feed(model: FaceModel, faces: Mapping[str, Faces], plan: Plan, iteration: int = 0,
              devices: Devices = ONE_DEVICE) -> Feed:
    """What the step is fed from `iteration` on: pictures, or the numbers that the device makes them
    of. Of several machines each gets its part of the batch.
    """
    size = next(iter(faces.values())).size
    share = plan.batch // devices.workers
    rows = slice(devices.worker * share, (devices.worker + 1) * share)
    counts = {identity: len(held) for identity, held in faces.items()}
    chance = Chance(counts, size, plan.batch, plan.augmentation, plan.seed, plan.weights, rows,
                    model.chance)
    if plan.on_device:
        return Feed(chance, iteration, threads=1, ahead=2 * MOST_AT_ONCE)
    return Feed(Host(faces, chance), iteration, threads=device.cores())


def _copies(model: FaceModel, networks: Networks) -> Networks:
    """Networks with the same weights as those that have averages; these are kept in them."""
    new = model.networks()
    copies = {name: new[name] for name in model.follows or networks}
    for name, copy in copies.items():
        copy.set_weights(networks[name].get_weights())
        copy.trainable = False
    return copies
