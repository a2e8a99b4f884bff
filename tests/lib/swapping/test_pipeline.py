from dataclasses import replace

import numpy as np
import pytest

from lib.faces.geometry import DEFAULT_COVERAGE
from lib.plugin import ALIGNERS, BLENDERS, COLORS, DETECTORS, MASKERS, RECOGNIZERS
from lib.swapping.composite import Compositor, crop_face
from lib.swapping.eyes import EyesFollow
from lib.swapping.pipeline import BATCH, Role, largest, nearest, swap_frames
from lib.types import Face, Frame


class Negative:
    """Turns faces into their negatives and counts what it is given."""

    size = drawn = 64
    coverage = DEFAULT_COVERAGE

    def __init__(self):
        self.batches = []

    def __call__(self, faces):
        self.batches.append(len(faces))
        return 1 - faces, None


def compositor() -> Compositor:
    return Compositor(COLORS.create("none"), BLENDERS.create("alpha"), [MASKERS.create("hull")], match_detail=False)


@pytest.fixture(scope="module")
def couple(astronaut, hopper) -> tuple[np.ndarray, list[Face]]:
    """(H, W, 3) with two people, and their faces from left to right."""
    image = np.zeros((600, 1024, 3), np.uint8)
    image[:512, :512], image[:, 512:] = astronaut, hopper
    detections = sorted(DETECTORS.create("hog").detect([image])[0][:2], key=lambda found: found.box[0])
    boxes = np.stack([found.box for found in detections])
    faces = [Face(*pair) for pair in zip(detections, ALIGNERS.create("dlib68").align([image], [boxes])[0])]
    return image, faces


def shown(done) -> np.ndarray:
    return done.frame.with_patches(done.patches)


def stream(image, faces_of, count):
    return ((Frame(index, image.copy()), faces_of(index)) for index in range(count))


def test_frames_come_out_in_order_whatever_faces_they_have(couple):
    image, faces = couple
    counts = [index % 3 for index in range(40)]
    finished = list(swap_frames(stream(image, lambda index: faces[:counts[index]], 40), [Role(Negative(), compositor())]))
    assert [done.frame.index for done in finished] == list(range(40))
    assert [done.swapped for done in finished] == counts
    assert all((shown(done) == image).all() == (done.swapped == 0) for done in finished)


def test_frames_without_faces_pass_and_the_network_is_not_asked(couple):
    image, network = couple[0], Negative()
    finished = list(swap_frames(stream(image, lambda index: [], 20), [Role(network, compositor())]))
    assert len(finished) == 20 and all((shown(done) == image).all() for done in finished)
    assert network.batches == []


def test_the_network_gets_batches_across_frames_and_never_more(couple):
    image, faces = couple
    network = Negative()
    list(swap_frames(stream(image, lambda index: faces[:1], 4 * BATCH), [Role(network, compositor())]))
    assert network.batches == [BATCH] * 4
    network = Negative()
    list(swap_frames(stream(image, lambda index: faces * BATCH, 2), [Role(network, compositor())]))
    assert sum(network.batches) == 4 * BATCH and max(network.batches) == BATCH


def test_each_face_is_swapped_by_the_first_model_that_takes_it(couple):
    """The astronaut by one that sees 64 pixels, whoever is left by one that sees 32."""
    image, faces = couple

    class Small(Negative):
        size = drawn = 32

    def astronauts(index, face):
        return face is faces[0]

    large, small = Negative(), Small()
    roles = [Role(large, compositor(), takes=astronauts), Role(small, compositor())]
    both = list(swap_frames(stream(image, lambda index: faces, BATCH), roles))
    assert [done.swapped for done in both] == [2] * BATCH and (sum(large.batches), sum(small.batches)) == (BATCH, BATCH)
    alone = next(swap_frames(stream(image, lambda index: faces, 1), roles[:1]))
    assert alone.swapped == 1 and (shown(both[0]) != image)[:, 512:].any() and not (shown(alone) != image)[:, 512:].any()
    assert (shown(both[0])[:, :512] == shown(alone)[:, :512]).all()


def test_what_follows_the_network_gets_its_batches_and_is_what_is_pasted(couple):
    image, faces = couple
    seen = []

    def black(batch):
        seen.append(len(batch))
        return [replace(face, image=np.zeros_like(face.image)) for face in batch]

    for done in swap_frames(stream(image, lambda index: faces, 2 * BATCH), [Role(Negative(), compositor())], black):
        nose = tuple(faces[0].landmarks[30].round().astype(int)[::-1])
        assert (shown(done)[nose] == 0).all() and done.swapped == 2
    assert sum(seen) == 4 * BATCH and max(seen) == BATCH


def test_a_network_that_fails_does_not_stop_the_eyes_of_others(couple):
    image, faces = couple

    class Failing(Negative):
        def __call__(self, faces):
            images = 1 - faces
            images[0] = np.nan
            return images, None

    finished = list(swap_frames(stream(image, lambda index: faces[:1], BATCH), [Role(Failing(), compositor())],
                                EyesFollow(ALIGNERS.create("dlib68"))))
    assert [done.swapped for done in finished] == [0] + [1] * (BATCH - 1) and "numbers" in finished[0].failure


def test_a_frame_whose_swap_fails_is_passed_through_and_says_why(couple):
    image, faces = couple

    class Failing(Negative):
        def __call__(self, faces):
            swapped, masks = super().__call__(faces)
            swapped[1] = np.nan
            return swapped, masks

    finished = list(swap_frames(stream(image, lambda index: faces[:1], BATCH), [Role(Failing(), compositor())]))
    assert [bool(done.failure) for done in finished] == [index == 1 for index in range(BATCH)]
    assert (shown(finished[1]) == image).all() and finished[1].swapped == 0
    assert "not made of numbers" in finished[1].failure


def test_landmarks_that_make_no_face_fail_their_frame_alone(couple):
    image, faces = couple
    broken = Face(faces[0].detection, np.zeros((68, 2), np.float32))
    finished = list(swap_frames(stream(image, lambda index: [faces[0], broken][:index + 1], 2), [Role(Negative(), compositor())]))
    assert [done.swapped for done in finished] == [1, 0]
    assert finished[1].failure and (shown(finished[1]) == image).all()


def test_few_frames_are_in_the_works(couple):
    """However long the video: what was fetched and is not yet handed out stays bounded."""
    image, faces = couple
    fetched = 0

    def frames():
        nonlocal fetched
        for frame in stream(image, lambda index: faces[:1] if index % 5 else [], 150):
            fetched += 1
            yield frame

    waiting = [fetched - done for done, _ in enumerate(swap_frames(frames(), [Role(Negative(), compositor())]), 1)]
    assert max(waiting) <= 4 * BATCH


def test_largest_takes_the_face_that_is_largest_in_the_frame(couple):
    image, faces = couple
    crops = [crop_face(Frame(0, image), face, 64) for face in faces]
    spans = [np.ptp(face.landmarks[:, 1]) for face in faces]
    assert largest(crops)[0] is crops[int(np.argmax(spans))] and len(largest(crops)) == 1
    assert largest([]) == []


def test_nearest_takes_the_person_asked_for_and_nobody_else(couple, astronaut):
    image, faces = couple
    crops = [crop_face(Frame(0, image), face, 128) for face in faces]
    recognizer = RECOGNIZERS.create("dlib_resnet")
    for number, embedding in enumerate(recognizer.embed(crops)):
        choose = nearest(embedding, recognizer)
        assert choose(crops) == [crops[number]]
        assert choose([crops[1 - number]]) == [] == choose([])
