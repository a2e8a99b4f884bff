import cv2
import numpy as np
import pytest

from lib.plugin import COLORS


@pytest.fixture(scope="module")
def face(astronaut) -> np.ndarray:
    return np.ascontiguousarray(astronaut[40:200, 150:310] / np.float32(255))


@pytest.fixture(scope="module")
def other(hopper) -> np.ndarray:
    return np.ascontiguousarray(hopper[60:220, 170:330] / np.float32(255))


@pytest.fixture(scope="module")
def skin() -> np.ndarray:
    mask = np.zeros((160, 160), np.float32)
    return cv2.circle(mask, (80, 90), 30, 1.0, -1)[..., None]


def lab(image, mask):
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[mask[..., 0] > 0]


@pytest.fixture(params=COLORS.names())
def color(request):
    return COLORS.create(request.param)


def test_the_answer_is_a_picture(color, face, other, skin):
    result = color.recolor(other, face, skin)
    assert result.shape == face.shape and result.dtype == np.float32
    assert result.min() >= 0 and result.max() <= 1


def test_a_face_in_the_right_colours_keeps_them(color, face, skin):
    assert np.abs(color.recolor(face, face, skin) - face).max() < 0.02


def test_the_inputs_are_not_changed(color, face, other, skin):
    before = face.copy(), other.copy(), skin.copy()
    color.recolor(other, face, skin)
    assert all((now == then).all() for now, then in zip((face, other, skin), before))


def test_a_face_without_visible_skin_is_left_alone(color, face, other):
    assert (color.recolor(other, face, np.zeros((160, 160, 1), np.float32)) == other).all()


def test_none_leaves_every_pixel(face, other, skin):
    assert (COLORS.create("none").recolor(other, face, skin) == other).all()


def test_reinhard_brings_the_skin_to_the_mean_of_the_original(face, other, skin):
    result = COLORS.create("reinhard").recolor(other, face, skin)
    before = np.abs(lab(other, skin).mean(0) - lab(face, skin).mean(0)).max()
    after = np.abs(lab(result, skin).mean(0) - lab(face, skin).mean(0)).max()
    assert before > 5 and after < 1


def test_reinhard_looks_at_the_skin_alone(face, other, skin):
    painted = np.where(skin > 0, face, np.float32([0, 1, 0]))
    reinhard = COLORS.create("reinhard")
    assert np.abs(reinhard.recolor(other, painted, skin) - reinhard.recolor(other, face, skin)).max() < 1e-4


def test_reinhard_does_not_stretch_colours_beyond_its_bounds(face, skin):
    """A hand or a hard shadow on the original has a spread that skin must not get."""
    flat = np.full_like(face, 0.5) + (face - face.mean()) * 0.05
    wild = np.random.default_rng(1).random(face.shape, np.float32)
    result = COLORS.create("reinhard").recolor(flat, wild, skin)
    assert lab(result, skin)[:, 0].std() < 1.3 * lab(flat, skin)[:, 0].std()


def test_reinhard_is_steady_when_the_landmarks_shake(face, other, skin):
    """Skin found a pixel further right changes the colour by less than can be seen."""
    reinhard = COLORS.create("reinhard")
    still, shaken = (reinhard.recolor(other, face, mask) for mask in (skin, np.roll(skin, 1, 1)))
    assert np.abs(still - shaken).mean() < 0.006


def test_reinhard_follows_a_light_of_two_colours(face, skin):
    across = np.linspace(-1, 1, 160, dtype=np.float32)[None, :]
    tinted = cv2.cvtColor(face, cv2.COLOR_RGB2LAB)
    tinted[..., 2] += 25 * across
    original = np.clip(cv2.cvtColor(tinted, cv2.COLOR_LAB2RGB), 0, 1)
    result = COLORS.create("reinhard").recolor(face, original, skin)
    for side in (slice(50, 75), slice(85, 110)):
        here = skin.copy()
        here[:, :side.start], here[:, side.stop:] = 0, 0
        wanted = lab(original, here)[:, 2].mean()
        before, after = (abs(lab(picture, here)[:, 2].mean() - wanted) for picture in (face, result))
        assert after < 0.5 * before
