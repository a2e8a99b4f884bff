"""Exemplars of a trained model: read from its folder, and what its drawings lack of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lib.faces.geometry import crop_matrix, transform_points
from lib.sampling import evenly
from lib.swapping.composite import MASK_SIZE
from lib.swapping.exemplars import bank as banks
from lib.swapping.exemplars.bank import Bank, Exemplars
from lib.swapping.exemplars.drawing import BANDS, Bent, missing_shares
from lib.swapping.exemplars.features import Person
from lib.swapping.exemplars.stage import Drawer, enlarge
from lib.swapping.pipeline import BATCH, Cropping, Network

ASKED = 16  # faces of the other person by which is found what drawings lack


def working_side(network: Cropping) -> int:
    """Side of the crops in which exemplars are drawn, pixels: that of `composite.crop_face`."""
    return network.size * -(-max(MASK_SIZE, network.drawn) // network.size)


def read_banks(folder: Path) -> dict[str, Bank]:
    """By identity; none of a model that has none. Raises FaceswapError where one is damaged."""
    return {identity: banks.read(path) for identity in "ab"
            if (path := banks.path_of(folder, identity)).exists()}


def shapes_of(landmarks: Sequence[np.ndarray], coverage: str) -> np.ndarray:
    """(N, 68, 2) float32: landmarks (68, 2) of frames in [0, 1] of the side of crops of a
    `coverage`; those that make no face are left out."""
    size, shapes = 256, []
    for points in landmarks:
        try:
            points = transform_points(points, crop_matrix(points, size, coverage))
            shapes.append((points + 0.5) / size)
        except ValueError:
            continue
    finite = [shape for shape in shapes if np.isfinite(shape).all()]
    return np.array(finite, np.float32).reshape(-1, 68, 2)


def prepare(banks_read: dict[str, Bank], network: Cropping) -> dict[str, Exemplars]:
    """The banks by identity, ready for what `network` draws."""
    side = working_side(network)
    return {identity: Exemplars(bank, network.coverage, side)
            for identity, bank in banks_read.items()}


def make_drawer(network: Network, exemplars: Exemplars, filmed: Exemplars,
                person: Person | None = None) -> Drawer:
    """Draws `exemplars` into faces of `person`, whose landmarks are those of the aligner alone (by
    default of the one whose pictures `filmed` are), as far as what `network` draws of `filmed`
    lacks them."""
    plain = Drawer(exemplars, filmed.person, np.ones(len(BANDS)))
    places = evenly(range(len(filmed)), ASKED)
    choices = plain.choices(filmed.features.at(places), [1] * len(places))
    pictures = [filmed.crop(index)[0] for index in places]
    inputs = np.stack([cv2.resize(picture, (network.size,) * 2, interpolation=cv2.INTER_AREA)
                       for picture in pictures])
    drawn = np.concatenate([network(inputs[start:start + BATCH].astype(np.float32) / 255)[0]
                            for start in range(0, len(inputs), BATCH)])
    shares = [missing_shares(enlarge(picture, exemplars.side),
                             Bent(exemplars, choice, plain.target_landmarks(shape)))
              for picture, choice, shape in zip(drawn, choices, filmed.features.shapes[places])]
    person = replace(person, build=person.build + filmed.brow_shift) if person else filmed.person
    return Drawer(exemplars, person, np.mean(shares, 0).round(4).tolist())


