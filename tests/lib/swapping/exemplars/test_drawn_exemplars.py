"""Detail of real pictures in a drawn face, and the light of the person filmed on it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lib.evaluation.detail import PartsOfB, detail
from lib.faces.bending import Bend, spread
from lib.facesets.face_file import read_face
from lib.facesets.folder import list_faces
from lib.plugin import BLENDERS, COLORS, MASKERS
from lib.swapping.composite import Compositor, crop_face, network_input
from lib.swapping.exemplars import bank as banks
from lib.swapping.exemplars import loading, stage
from lib.swapping.exemplars.choice import Choice
from lib.swapping.exemplars.drawing import Bent, add_brow_edges, add_detail, grid
from lib.swapping.exemplars.skin import face_size
from lib.swapping.exemplars.stage import Planned, Separate, features_of_crop, key_of, shape_of
from lib.swapping.pipeline import Role, swap_frames
from lib.types import Frame, SwappedFace


class Blur:
    """A network that draws B's mean face, blurred: what a young one draws."""

    size, drawn, coverage = 64, 64, "full"

    def __init__(self, ready):
        mean = np.mean([cv2.resize(ready["b"].crop(index)[0], (64, 64), interpolation=cv2.INTER_AREA) for index in range(12)], 0)
        self._face = cv2.GaussianBlur(mean.astype(np.float32) / 255, (0, 0), 2)

    def __call__(self, faces):
        return np.stack([self._face] * len(faces)), np.ones((len(faces), 64, 64, 1), np.float32)


@pytest.fixture(scope="module")
def files(face_folders):
    return {identity: [read_face(path) for path in list_faces(folder)] for identity, folder in face_folders.items()}


@pytest.fixture(scope="module")
def ready(files):
    return {identity: banks.Exemplars(banks.make(some, identity == "b"), "full", 256) for identity, some in files.items()}


@pytest.fixture(scope="module")
def network(ready):
    return Blur(ready)


@pytest.fixture(scope="module")
def drawer(network, ready):
    return loading.make_drawer(network, ready["b"], ready["a"])


@pytest.fixture(scope="module")
def swapped(files, network):
    """One face of A as the network draws it."""
    from lib.evaluation.held_out import in_crop

    aligned = crop_face(Frame(0, files["a"][5].image), in_crop(files["a"][5].aligned), 64, "full", 64)
    images, masks = network(network_input(aligned, 64)[None])
    return SwappedFace(aligned, images[0], masks[0])


def in_bytes(face: SwappedFace) -> np.ndarray:
    image = cv2.resize(face.image, (256, 256), interpolation=cv2.INTER_CUBIC)
    return np.clip(image * 255, 0, 255).astype(np.uint8)


def test_a_blur_gets_detail_and_bs_eyes(drawer, swapped, files):
    drawn = Separate(drawer)(0, swapped)
    points = (drawer.target_landmarks(shape_of(swapped.aligned)) * 256 - 0.5).astype(np.float32)
    original = swapped.aligned.image
    before, after = (detail(np.stack([original, in_bytes(face)]), np.eye(2, 3), points) for face in (swapped, drawn))
    assert before < 0.3 and after > 0.5
    parts = PartsOfB.of((file.image, file.landmarks) for file in files["b"])
    assert parts.likeness(in_bytes(drawn), points)["eyes"] > parts.likeness(in_bytes(swapped), points)["eyes"] + 0.1


def test_a_young_network_gets_much_and_a_good_one_little(drawer, ready):
    assert (np.diff(drawer.shares) < 0).all() and drawer.shares[0] > 0.7

    class Perfect(Blur):
        def __call__(self, faces):  # draws the exemplar itself
            pictures = [ready["b"].crop(int(index))[0].astype(np.float32) / 255 for index in np.linspace(0, 11, 12).round()]
            return np.stack(pictures[:len(faces)]), None

    network = Perfect(ready)
    network.drawn = 256
    shares = loading.make_drawer(network, ready["b"], ready["b"]).shares
    assert max(shares[2:]) < 0.3 < drawer.shares[0]


def test_without_shares_the_drawing_stays(drawer, swapped):
    young = replace(drawer, shares=[0.0, 0.0, 0.0, 0.0])
    drawn = Separate(young)(0, swapped)
    assert np.abs(in_bytes(drawn).astype(int) - in_bytes(swapped)).mean() < 1


def test_colours_outside_the_bands_are_left_to_the_network(drawer, swapped):
    darker = replace(swapped, image=swapped.image * 0.5)
    means = [Separate(drawer)(0, face).image[100:160, 100:160].mean() for face in (swapped, darker)]
    assert means[1] == pytest.approx(0.5 * means[0], rel=0.15)


def test_a_face_is_given_the_light_of_its_frame(drawer, swapped):
    """A light from the right on the original: the right of the new face is lighter, too."""
    slope = np.linspace(0.5, 1.5, 256, dtype=np.float32)[None, :, None]
    lit = np.clip(swapped.aligned.image * slope, 0, 255).astype(np.uint8)
    halves = []
    for image in (swapped.aligned.image, lit):
        face = Separate(drawer)(0, replace(swapped, aligned=replace(swapped.aligned, image=image)))
        gain = face.light.gain(face.image)
        halves.append(float(gain[20:44, 36:50].mean() - gain[20:44, 14:28].mean()))
    assert halves[1] > halves[0] + 0.2


def test_the_same_face_is_drawn_wherever_a_run_begins(drawer, files, network):
    """Choices are made in windows that lie where they lie, so that a run that was stopped goes on with the same bytes."""
    from lib.evaluation.held_out import in_crop

    frames = [(Frame(number, file.image), [in_crop(file.aligned)]) for number, file in enumerate(files["a"])]

    def crops(start, stop):
        return ((frame, [crop_face(frame, face, 64, "full", 64) for face in faces])
                for frame, faces in frames if start <= frame.index < stop)

    compositor = Compositor(COLORS.create("none"), BLENDERS.create("alpha"), [MASKERS.create("hull")], coverage="full")

    def run(some):
        planned = Planned(drawer, crops)
        done = list(swap_frames(iter(some), [Role(network, compositor, exemplars=planned)]))
        planned.close()
        assert all(not one.failure and one.swapped for one in done)
        return {one.frame.index: one.frame.with_patches(one.patches) for one in done}

    whole, late = run(frames), run(frames[8:])
    assert all((late[index] == whole[index]).all() for index in late)


def test_a_film_longer_than_a_window_is_planned_in_windows(drawer, files, monkeypatch):
    from lib.evaluation.held_out import in_crop
    from lib.swapping.exemplars import stage

    monkeypatch.setattr(stage, "WINDOW", 4)
    monkeypatch.setattr(stage, "OVERLAP", 2)
    asked = []
    held = [crop_face(Frame(number, file.image), in_crop(file.aligned), 64, "full", 64) for number, file in enumerate(files["a"])]

    def crops(start, stop):
        asked.append((start, stop))
        return [(Frame(index, held[index].image), [held[index]]) for index in range(start, min(stop, len(held)))]

    planned = Planned(drawer, crops)
    for index, aligned in enumerate(held):
        face = SwappedFace(aligned, np.zeros((64, 64, 3), np.float32), np.ones((64, 64, 1), np.float32))
        assert planned(index, face).image.shape == (256, 256, 3)
    planned.close()
    assert set(asked[:3]) == {(0, 6), (2, 10), (6, 14)} and len(planned._windows) <= stage.KEPT


def test_faces_are_known_by_frame_and_landmarks(swapped):
    face = swapped.aligned.face
    assert key_of(3, face) == key_of(3, face) != key_of(4, face)
    assert len(features_of_crop(swapped.aligned)) == 1


def test_a_raised_brow_is_moved_and_hardly_made_thicker(ready):
    shape = ready["b"].features.shapes[0].astype(np.float64)
    raised = shape.copy()
    brow, size = slice(17, 22), face_size(shape)
    raised[brow] += 0.1 * size * (shape[27] - shape[30]) / np.linalg.norm(shape[27] - shape[30])
    bend = Bend(add_brow_edges(raised, raised)).of(add_brow_edges(shape, raised))
    looks_at = spread(bend, 256) + grid(256)
    column, row = np.rint(raised[19] * 256 - 0.5).astype(int)
    reach = round(0.04 * size * 256)  # about half of a brow
    thickness = looks_at[row + reach, column, 1] - looks_at[row - reach, column, 1]
    assert 0.78 < thickness / (2 * reach) < 1.05  # without the edges 0.65


def test_the_edge_of_the_face_of_an_exemplar_is_not_drawn(ready, network):
    """A dark line along B's cheek, such as the edge before a background, leaves no line in the face."""
    exemplars, choice = ready["b"], Choice(*[((0, 1.0),)] * 4)
    shape = exemplars.features.shapes[0]
    bent = Bent(exemplars, choice, shape.astype(np.float64))
    drawn = stage.enlarge(network(np.zeros((1, 64, 64, 3), np.float32))[0][0], bent.side)
    plain = add_detail(drawn, bent, [1.0] * 4, np.uint8(bent.image * 255))
    side = np.rint(bent.points[2:5]).astype(np.int32)
    inwards = np.sign(bent.points[33, 0] - side[0, 0]) * round(8 / 160 * bent.size)
    cv2.polylines(bent.image, [side + (int(inwards), 0)], False, (0, 0, 0), 2)
    marked = add_detail(drawn, bent, [1.0] * 4, np.uint8(bent.image * 255))
    assert np.abs(marked - plain).max() < 0.05  # where all of it counts 0.8
