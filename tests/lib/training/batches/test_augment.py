"""What the device makes of the draws is what OpenCV makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.nn import backend  # noqa: F401  TensorFlow starts silently
from lib.plugin import AUGMENTATIONS, Augmenter
from lib.training.batches import on_device
from lib.training.batches.augmentation import CLASSIC, NONE, Augmentation
from lib.training.batches.chance import Chance
from lib.training.batches.faces import Faces
from lib.training.batches.feed import Host

COUNT = 12
KINDS = {
    "none": NONE, "classic": CLASSIC, "rotation": Augmentation(rotation=30.0), "scale": Augmentation(scale=0.3),
    "shift": Augmentation(shift=0.2), "flip": Augmentation(flip=True), "warp": Augmentation(warp=1.5), "color": Augmentation(color=0.3),
    "light": Augmentation(light=0.5), "blur": Augmentation(blur=0.03), "bent": Augmentation(retarget=1.0),
    "bent and moved": Augmentation(retarget=1.0, rotation=10.0, shift=0.05),
}
KINDS |= {f"plugin {name}": Augmentation(extra=(AUGMENTATIONS.create(name),)) for name in AUGMENTATIONS.names()}
ALL = replace(CLASSIC, color=0.1, light=0.3, blur=0.01, retarget=0.5, crossed=0.5)


@pytest.fixture(scope="module", params=[(64, 64), (128, 128), (64, 128)], ids=lambda sides: "-".join(map(str, sides)))
def faces(request, face_folders) -> dict[str, Faces]:
    people = {}
    for identity, folder in face_folders.items():
        files = [read_face(path) for path in list_faces(folder)]
        people[identity] = Faces([file.image for file in files], [file.landmarks for file in files], "whole", request.param[0], "full",
                                 request.param[1])
    return people


def chance_of(faces: dict[str, Faces], augmentation: Augmentation) -> Chance:
    return Chance({identity: len(these) for identity, these in faces.items()}, faces["a"].size, COUNT, augmentation, 5)


def both(faces: dict[str, Faces], augmentation: Augmentation) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(field, as the host makes it, as the device does) of each identity, pictures in levels from 0 to 255."""
    chance = chance_of(faces, augmentation)
    device = on_device.DeviceAugmentation(augmentation, faces["a"].size, faces["a"].drawn)(chance(0), on_device.stocks(faces))
    found = []
    for identity, side in Host(faces, chance)(0).items():
        for name in side._fields:
            scale = 1.0 if name == "landmarks" else 255.0
            found.append((name, getattr(side, name).astype(np.float32), scale * np.asarray(getattr(device[identity], name))))
    return found


@pytest.mark.parametrize("augmentation", KINDS.values(), ids=KINDS)
def test_each_kind(faces, augmentation):
    for name, host, device in both(faces, augmentation):
        assert host.shape == device.shape
        if name == "landmarks":
            np.testing.assert_allclose(device, host, atol=1e-4)
        else:
            apart = np.abs(host - device)
            assert apart.mean() < (0.1 if "blur" in augmentation.augmenters and augmentation.augmenters["blur"].strength else 0.02), name  # OpenCV blurs in whole numbers
            assert (apart > 1.01).mean() < 1e-3, name


def test_all_of_them_with_the_other_persons_faces(faces):
    for name, host, device in both(faces, ALL):
        apart = np.abs(host - device) * (len(host) if name == "landmarks" else 1)
        assert apart.mean() < 0.05 and (apart > 2.01).mean() < 2e-3, (name, apart.mean())


def test_draws_differ_where_they_should(faces):
    """So that equal pictures above mean something."""
    plain, *others = ([picture.astype(np.float32) for side in Host(faces, chance_of(faces, augmentation))(0).values()
                       for picture in (side.input, side.target)] for augmentation in KINDS.values())
    for kind in others:
        assert any(np.abs(one - other).mean() > 0.5 for one, other in zip(plain, kind, strict=True))


def test_what_it_takes_of_the_memory(faces):
    assert on_device.bytes_of(faces) == sum(np.asarray(tensor).nbytes for stock in on_device.stocks(faces).values()
                                          for tensor in (stock.images, stock.regions))


def test_a_plugin_of_its_own_draws_last(faces):
    """So that what others draw is what it was."""

    @dataclass
    class Grey(Augmenter):
        strength: float = 0.5
        numbers = ("share",)

        def draw(self, name, count, size, random):
            return random.uniform(0, self.strength, count)

        def on_host(self, picture, numbers):
            return picture

        def on_device(self, pictures, numbers):
            return pictures

    plain = chance_of(faces, ALL)(0)["a"]
    with_it = chance_of(faces, replace(ALL, extra=(Grey(),)))(0)["a"]
    assert with_it.numbers.pop("Grey.share").shape == (COUNT,)
    assert plain.numbers.keys() == with_it.numbers.keys()
    for name, values in plain.numbers.items():
        np.testing.assert_array_equal(with_it.numbers[name], values)
    np.testing.assert_array_equal(plain.flip, with_it.flip)
