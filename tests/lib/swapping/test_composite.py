from dataclasses import replace

import cv2
import numpy as np
import pytest

from lib.alignments.masking import Everything, MaskedFace, StoredMask
from lib.faces import geometry
from lib.faces.masks import inner_skin
from lib.plugin import ALIGNERS, BLENDERS, COLORS, DETECTORS, MASKERS
from lib.swapping.composite import Canvas, Compositor, crop_face, network_input
from lib.types import Face, Frame, SwappedFace

SIZES = [64, 96, 128, 256]


@pytest.fixture(scope="module")
def portrait(astronaut) -> tuple[np.ndarray, Face]:
    return astronaut, find(astronaut)


@pytest.fixture(scope="module")
def other(hopper) -> tuple[np.ndarray, Face]:
    return hopper, find(hopper)


def find(image) -> Face:
    detection = DETECTORS.create("hog").detect([image])[0][0]
    return Face(detection, ALIGNERS.create("dlib68").align([image], [detection.box[None]])[0][0])


def compositor(color="none", **options) -> Compositor:
    return Compositor(COLORS.create(color), BLENDERS.create("alpha"), [MASKERS.create("hull")], **options)


def swapped(image, face, size, network=lambda crop: crop, mask=1.0) -> SwappedFace:
    aligned = crop_face(Frame(0, image), face, size)
    return SwappedFace(aligned, network(network_input(aligned, size)), np.full((size, size, 1), mask, np.float32))


def pasted(image, face, **options) -> np.ndarray:
    canvas = Canvas(Frame(0, image))
    compositor(**options).paste(canvas, face)
    return canvas.frame.with_patches(canvas.patches)


def outline(face, shape) -> np.ndarray:
    """The hull of the landmarks and of what is above the brows, and a pixel more, as a mask of the frame."""
    points = np.vstack([face.landmarks, face.landmarks[17:27] + (face.landmarks[27] - face.landmarks[33]) * 0.5])
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return cv2.dilate(mask, np.ones((3, 3), np.uint8)).astype(bool)


def psnr(one, two) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((one.astype(np.float64) - two) ** 2))))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("color", COLORS.names())
def test_pixels_outside_the_face_stay_as_they_were(portrait, size, color):
    image, face = portrait
    result = pasted(image, swapped(image, face, size, lambda crop: 1 - crop), color=color)
    outside = ~outline(face, image.shape)
    assert (result[outside] == image[outside]).all()
    assert (result[~outside] != image[~outside]).mean() > 0.5


@pytest.mark.parametrize("size", SIZES)
def test_a_network_that_changes_nothing_changes_almost_nothing(portrait, size):
    image, face = portrait
    inside = outline(face, image.shape)
    result = pasted(image, swapped(image, face, size))
    assert psnr(result[inside], image[inside]) > {64: 25, 96: 29, 128: 30, 256: 36}[size]


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0, 2.5])
def test_the_face_lands_where_it_was_taken_from(portrait, scale):
    """Whatever its size in the frame: half a pixel of offset would show as a gradient."""
    image, face = portrait
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    face = Face(face.detection, ((face.landmarks + 0.5) * scale - 0.5).astype(np.float32))
    inside = outline(face, image.shape)
    result = pasted(image, swapped(image, face, 128))
    blurred = cv2.GaussianBlur(image, (0, 0), 2 * scale + 0.5)

    def shifted(pixels):
        return np.abs(cv2.GaussianBlur(np.roll(result, pixels, 1), (0, 0), 2 * scale + 0.5).astype(int) - blurred)[inside].mean()

    assert shifted(0) < min(shifted(1), shifted(-1))
    assert shifted(0) < 1.5


def test_a_turned_face_at_the_edge_of_the_frame_is_pasted_in_part(portrait):
    image, face = portrait
    centre = face.landmarks.mean(0)
    matrix = cv2.getRotationMatrix2D(tuple(map(float, centre)), 70, 1.0)
    turned = cv2.warpAffine(image, matrix, (int(centre[0]), image.shape[0]))  # the frame ends in the middle of the face
    face = Face(face.detection, geometry.transform_points(face.landmarks, matrix).astype(np.float32))
    result = pasted(turned, swapped(turned, face, 128, lambda crop: 1 - crop))
    inside = outline(face, turned.shape)
    assert (result[~inside] == turned[~inside]).all()
    assert (result[inside] != turned[inside]).mean() > 0.5


def test_nothing_beyond_the_crop_is_changed(portrait):
    """Also where the mask is full up to the crop's edge and the crop stands askew in the frame."""
    image, face = portrait
    matrix = cv2.getRotationMatrix2D(tuple(map(float, face.landmarks.mean(0))), 40, 1.0)
    turned = cv2.warpAffine(image, matrix, image.shape[1::-1])
    moved = Face(face.detection, geometry.transform_points(face.landmarks, matrix).astype(np.float32))
    crop = swapped(turned, moved, 64, lambda crop: 1 - crop)
    canvas = Canvas(Frame(0, turned))
    Compositor(COLORS.create("none"), BLENDERS.create("alpha"), [], feather=0.0).paste(canvas, crop)
    result = canvas.frame.with_patches(canvas.patches)
    ones = np.ones(crop.aligned.image.shape[:2], np.uint8)
    covered = cv2.warpAffine(ones, crop.aligned.matrix, turned.shape[1::-1], flags=cv2.WARP_INVERSE_MAP)
    changed = (result != turned).any(-1)
    assert changed.mean() > 0.05 and not changed[cv2.dilate(covered, np.ones((3, 3), np.uint8)) == 0].any()


def test_a_face_outside_the_frame_changes_nothing(portrait):
    image, face = portrait
    away = Face(face.detection, face.landmarks + np.float32([0, 3000]))
    assert (pasted(image, swapped(image, away, 64)) == image).all()


def test_the_mask_of_the_model_says_what_is_replaced(portrait):
    image, face = portrait
    invisible = swapped(image, face, 64, lambda crop: 1 - crop, mask=0.0)
    assert (pasted(image, invisible) == image).all()
    assert (pasted(image, invisible, predicted=False) != image).any()


def test_brows_are_replaced_whole(portrait):
    """The mask's soft edge lies above them: a mask that ends at the brow points would leave the old ones visible."""
    image, face = portrait
    crop = swapped(image, face, 128)
    mask = compositor().mask(crop)
    brows = geometry.transform_points(face.landmarks[18:26], crop.aligned.matrix)
    assert min(mask[round(y), round(x)] for x, y in brows) > 0.5


def test_old_brows_go_where_the_models_mask_ends_before_them(portrait):
    """The predicted mask has the new face's outline; here it is narrower by 5 % of the face's size all round, and hazy."""
    image, face = portrait
    crop = swapped(image, face, 128)
    size = crop.aligned.image.shape[0]
    narrow = compositor(predicted=False, feather=0.0, erosion=0.05).mask(crop)
    hazy = 0.85 * cv2.resize(narrow, (128, 128), interpolation=cv2.INTER_AREA)[..., None]
    mask = compositor().mask(SwappedFace(crop.aligned, crop.image, hazy))
    brows = geometry.transform_points(face.landmarks[18:26], crop.aligned.matrix)
    assert min(mask[round(y), round(x)] for x, y in brows) > 0.5
    assert mask[size // 2, size // 2] == 1


def test_erosion_shrinks_and_feather_softens_the_mask(portrait):
    image, face = portrait
    crop = swapped(image, face, 128)
    hard, soft = compositor(feather=0.0).mask(crop), compositor(feather=0.2).mask(crop)
    grown, shrunk = compositor(feather=0.0, erosion=-0.05).mask(crop), compositor(feather=0.0, erosion=0.05).mask(crop)
    assert shrunk.sum() < hard.sum() < grown.sum()
    assert np.abs(np.diff(soft, axis=1)).max() < 0.1 < np.abs(np.diff(hard, axis=1)).max()
    assert (soft[hard == 0] < 0.05).all()


@pytest.mark.parametrize("side, axis, end", [(0, 0, 0), (1, 1, -1), (2, 0, -1), (3, 1, 0)], ids=["top", "right", "bottom", "left"])
def test_each_side_of_the_mask_can_be_moved_alone(portrait, side, axis, end):
    crop = swapped(*portrait, 128)
    unit = crop.aligned.image.shape[0] / geometry.COVERAGES[geometry.DEFAULT_COVERAGE][0]

    def ends(share: float) -> list[int]:
        """First and last row of the mask, and first and last column."""
        mask = compositor(feather=0.0, sides=tuple(share * (number == side) for number in range(4))).mask(crop) > 0.5
        return [int(edge) for along in (1, 0) for edge in np.flatnonzero(mask.any(along))[[0, -1]]]

    plain, inwards, outwards = ends(0.0), ends(0.05), ends(-0.05)
    which, sign = 2 * axis + (end == -1), -1 if end == -1 else 1
    assert inwards[which] - plain[which] == sign * round(0.05 * unit) == plain[which] - outwards[which]
    assert outwards[:which] + outwards[which + 1:] == plain[:which] + plain[which + 1:], "the others stay"


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_the_new_face_can_be_larger_or_smaller(portrait, scale):
    """What changes in the frame grows with it, about the middle of the face."""
    image, face = portrait
    changed = [np.argwhere((pasted(image, swapped(image, face, 128, lambda crop: 1 - crop), feather=0.0, match_detail=False, scale=each)
                            != image).any(-1)) for each in (1.0, scale)]
    plain, other = (np.ptp(places, axis=0) for places in changed)
    np.testing.assert_allclose(other / plain, scale, rtol=0.03)
    middle = face.landmarks[geometry.INNER].mean(0)[::-1]
    np.testing.assert_allclose(changed[1].mean(0) - middle, (changed[0].mean(0) - middle) * scale, atol=3)


def test_sharpening_adds_detail_and_no_light(portrait):
    image, face = portrait
    inside = outline(face, image.shape)
    soft, sharp = (pasted(image, swapped(image, face, 128), match_detail=False, sharpness=each)[inside].astype(int) for each in (0.0, 1.0))
    assert np.abs(sharp.mean(0) - soft.mean(0)).max() < 1
    assert sharp.std() > soft.std()


@pytest.mark.parametrize("mask, seen", [(0.0, False), (0.3, False), (0.35, False), (0.6, True), (1.0, True)])
def test_a_face_of_which_next_to_nothing_is_seen_is_told(portrait, mask, seen):
    image, face = portrait
    assert compositor().paste(Canvas(Frame(0, image)), swapped(image, face, 64, mask=mask)) == seen


def test_faces_before_they_were_set_in_come_with_what_carries_them_there(portrait):
    image, face = portrait
    canvas = Canvas(Frame(0, image), aligned=True)
    compositor(match_detail=False).paste(canvas, swapped(image, face, 128, lambda crop: crop * 0.5))
    patch, = canvas.patches
    aligned, matrix = patch.aligned
    assert aligned.shape[2] == 4 and aligned.dtype == np.uint8
    there = cv2.warpAffine(aligned, matrix, image.shape[1::-1], flags=cv2.INTER_LINEAR)[patch.rows, patch.columns]
    inside = patch.mask > 0.9
    assert np.abs(there[inside][:, :3].astype(int) - patch.face[inside]).mean() < 4
    assert np.abs(there[..., 3] / 255 - patch.mask).mean() < 0.02


def test_an_answer_that_is_not_made_of_numbers_is_refused(portrait):
    image, face = portrait
    canvas = Canvas(Frame(0, image))
    with pytest.raises(ValueError, match="not made of numbers"):
        compositor().paste(canvas, swapped(image, face, 64, lambda crop: crop * np.nan))
    assert not canvas.patches


def test_landmarks_that_make_no_face_are_refused(portrait):
    image, face = portrait
    for landmarks in np.zeros((68, 2), np.float32), np.full((68, 2), np.nan, np.float32):
        with pytest.raises(ValueError):
            crop_face(Frame(0, image), Face(face.detection, landmarks), 128)


@pytest.mark.parametrize("size", SIZES)
def test_inner_skin_leaves_out_eyes_mouth_and_brows(portrait, size):
    image, face = portrait
    aligned = geometry.crop(image, face, size)
    landmarks = geometry.transform_points(face.landmarks, aligned.matrix)
    skin = inner_skin(landmarks, size)[..., 0]
    covered = [landmarks[part].mean(0) for part in (slice(17, 22), slice(22, 27), slice(36, 42), slice(42, 48), slice(48, 68))]
    assert all(skin[round(y), round(x)] == 0 for x, y in [*covered, *landmarks[[19, 24, 37, 44, 51, 57, 8, 0, 16]]])
    cheeks = [landmarks[[4, 31, 36]].mean(0), landmarks[[12, 35, 45]].mean(0)]
    assert all(skin[round(y), round(x)] == 1 for x, y in cheeks)


def test_the_networks_input_is_the_crop_of_its_size(portrait):
    image, face = portrait
    for size in SIZES:
        taken = network_input(crop_face(Frame(0, image), face, size), size)
        assert taken.shape == (size, size, 3) and taken.dtype == np.float32
        assert np.abs(taken * 255 - geometry.crop(image, face, size).image).mean() < 2.5


def test_skin_gets_the_colour_of_the_face_it_replaces(portrait, other):
    """Grace Hopper's face on the astronaut, with and without colour."""
    (image, face), (source, model) = portrait, other
    crop = network_input(crop_face(Frame(0, source), model, 128), 128)
    inside = outline(face, image.shape)
    plain, matched = (pasted(image, swapped(image, face, 128, lambda _: crop), color=color)[inside].mean(0)
                      for color in ("none", "reinhard"))
    wanted = image[inside].mean(0)
    assert np.abs(matched - wanted).max() < np.abs(plain - wanted).max() / 2


def test_what_is_in_front_gives_the_face_no_colour_and_keeps_its_edge(portrait):
    """A green board before one cheek: the face behind keeps its colours, and the board its straight edge."""
    image, face = portrait
    cheek = face.landmarks[[2, 3, 31, 48]].mean(0).round().astype(int)
    board = slice(cheek[1] - 14, cheek[1] + 14), slice(cheek[0] - 14, cheek[0] + 14)
    filmed = image.copy()
    filmed[board] = 0, 255, 0
    mask = np.ones((128, 128), np.float32)
    onto = geometry.crop_matrix(face.landmarks, 128)
    corners = np.array([(board[1].start, board[0].start), (board[1].stop, board[0].stop)]) - 0.5
    (left, top), (right, bottom) = np.rint(geometry.transform_points(corners, onto) + 0.5).astype(int)
    mask[top:bottom, left:right] = 0
    masked = MaskedFace(**vars(face), masks={"occlusion": mask[..., None], "hand": mask[..., None]})

    def result(name: str) -> tuple[np.ndarray, np.ndarray]:
        """The frame with the face, and the mask by which it was set in."""
        drawn = swapped(image, face, 128)
        drawn = replace(drawn, aligned=crop_face(Frame(0, filmed), masked, 128))
        stored = StoredMask(name, Everything())
        kind = replace(compositor("reinhard", match_detail=False), maskers=[MASKERS.create("hull"), stored])
        canvas = Canvas(Frame(0, filmed))
        kind.paste(canvas, drawn)
        return canvas.frame.with_patches(canvas.patches), kind.mask(drawn)

    (known, edge), (unknown, soft) = result("occlusion"), result("hand")
    nose = tuple(slice(int(value) - 5, int(value) + 5) for value in face.landmarks[30][::-1])
    away = [np.abs(frame[nose].astype(int) - image[nose]).mean() for frame in (known, unknown)]
    assert away[0] < 3 and away[1] > 2 * away[0]
    inner = tuple(slice(part.start + 3, part.stop - 3) for part in board)
    assert (known[inner] == (0, 255, 0)).all()
    ramp = [((part > 0.05) & (part < 0.95)).sum() for part in (edge, soft)]
    assert ramp[0] < ramp[1]
