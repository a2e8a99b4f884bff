import cv2
import numpy as np
import pytest

from lib.plugin import COLORS
from lib.types import Place

WHOLE = Place(slice(0, 160), slice(0, 160), 160)


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


def recolored(color, swapped, original, mask) -> np.ndarray:
    """As the compositor does it."""
    measured = color.measure(swapped, original, mask)
    return swapped if measured is None else color.recolor(swapped, measured, WHOLE)


@pytest.fixture(params=COLORS.names())
def color(request):
    return COLORS.create(request.param)


def test_the_answer_is_a_picture(color, face, other, skin):
    result = recolored(color, other, face, skin)
    assert result.shape == face.shape and result.dtype == np.float32
    assert result.min() >= 0 and result.max() <= 1


def test_a_face_in_the_right_colours_keeps_them(color, face, skin):
    assert np.abs(recolored(color, face, face, skin) - face).max() < 0.02


def test_the_inputs_are_not_changed(color, face, other, skin):
    before = face.copy(), other.copy(), skin.copy()
    recolored(color, other, face, skin)
    assert all((now == then).all() for now, then in zip((face, other, skin), before))


def test_a_face_without_visible_skin_is_left_alone(color, face, other):
    assert (recolored(color, other, face, np.zeros((160, 160, 1), np.float32)) == other).all()


def test_none_leaves_every_pixel(face, other, skin):
    assert (recolored(COLORS.create("none"), other, face, skin) == other).all()


def test_reinhard_brings_the_skin_to_the_mean_of_the_original(face, other, skin):
    result = recolored(COLORS.create("reinhard"), other, face, skin)
    before = np.abs(lab(other, skin).mean(0) - lab(face, skin).mean(0)).max()
    after = np.abs(lab(result, skin).mean(0) - lab(face, skin).mean(0)).max()
    assert before > 5 and after < 1


def test_reinhard_looks_at_the_skin_alone(face, other, skin):
    painted = np.where(skin > 0, face, np.float32([0, 1, 0]))
    reinhard = COLORS.create("reinhard")
    assert np.abs(recolored(reinhard, other, painted, skin) - recolored(reinhard, other, face, skin)).max() < 1e-4


def test_reinhard_does_not_stretch_colours_beyond_its_bounds(face, skin):
    """A hand or a hard shadow on the original has a spread that skin must not get."""
    flat = np.full_like(face, 0.5) + (face - face.mean()) * 0.05
    wild = np.random.default_rng(1).random(face.shape, np.float32)
    result = recolored(COLORS.create("reinhard"), flat, wild, skin)
    assert lab(result, skin)[:, 0].std() < 1.3 * lab(flat, skin)[:, 0].std()


def test_reinhard_is_steady_when_the_landmarks_shake(face, other, skin):
    """Skin found a pixel further right changes the colour by less than can be seen."""
    reinhard = COLORS.create("reinhard")
    still, shaken = (recolored(reinhard, other, face, mask) for mask in (skin, np.roll(skin, 1, 1)))
    assert np.abs(still - shaken).mean() < 0.006


def test_reinhard_follows_a_light_of_two_colours(face, skin):
    across = np.linspace(-1, 1, 160, dtype=np.float32)[None, :]
    tinted = cv2.cvtColor(face, cv2.COLOR_RGB2LAB)
    tinted[..., 2] += 25 * across
    original = np.clip(cv2.cvtColor(tinted, cv2.COLOR_LAB2RGB), 0, 1)
    result = recolored(COLORS.create("reinhard"), face, original, skin)
    for side in (slice(50, 75), slice(85, 110)):
        here = skin.copy()
        here[:, :side.start], here[:, side.stop:] = 0, 0
        wanted = lab(original, here)[:, 2].mean()
        before, after = (abs(lab(picture, here)[:, 2].mean() - wanted) for picture in (face, result))
        assert after < 0.5 * before


@pytest.mark.parametrize("name", ["mean", "histogram", "linear", "sot", "iterative"])
def test_the_skin_gets_the_mean_of_the_original(face, other, skin, name):
    result = recolored(COLORS.create(name), other, face, skin)
    inside = skin[..., 0] > 0
    before, after = (np.abs(picture[inside].mean(0) - face[inside].mean(0)).max() for picture in (other, result))
    assert before > 0.05 and after < 0.015


@pytest.mark.parametrize("name, share", [("histogram", 0.3), ("sot", 0.35), ("iterative", 0.3)])
def test_the_skin_gets_the_distribution_of_the_original(face, other, skin, name, share):
    inside = skin[..., 0] > 0
    wanted = np.quantile(face[inside], np.linspace(0.02, 0.98, 25), axis=0)

    def apart(picture):
        return np.abs(np.quantile(picture[inside], np.linspace(0.02, 0.98, 25), axis=0) - wanted).mean()

    assert apart(recolored(COLORS.create(name), other, face, skin)) < share * apart(other)


def test_linear_gives_the_covariance_of_the_original(face, skin):
    """Of the same face in other colours, within the bounds: the map is found again."""
    matrix = np.float32([[0.9, 0.1, 0.0], [0.1, 1.0, 0.05], [0.0, 0.05, 0.85]])
    original = np.clip(cv2.transform(face, np.column_stack([matrix, [0.05, -0.02, 0.03]])), 0, 1)
    result = recolored(COLORS.create("linear"), face, original, skin)
    inside = skin[..., 0] > 0
    np.testing.assert_allclose(np.cov(result[inside].T), np.cov(original[inside].T), atol=5e-4)
    assert np.abs(result - original)[inside].mean() < 0.01


def test_by_hand(other, face, skin):
    manual = COLORS.create("manual", brightness=0.1, contrast=-0.5, blue=0.05)
    expected = np.clip((other - 0.5) * 0.5 + 0.5 + np.float32([0.1, 0.1, 0.15]), 0, 1)
    np.testing.assert_allclose(recolored(manual, other, face, skin), expected, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(COLORS.names()) - {"none", "manual"}))
def test_the_mean_of_what_two_frames_measure_is_between_them(face, other, skin, name):
    """What was measured is averaged over a track."""
    color = COLORS.create(name)
    one, two = color.measure(other, face, skin), color.measure(other, np.clip(face * 0.8, 0, 1), skin)
    assert one.shape == two.shape and one.dtype == np.float32
    bright, between, dark = (color.recolor(other, measured, WHOLE)[skin[..., 0] > 0].mean() for measured in (one, (one + two) / 2, two))
    assert dark < between < bright and between == pytest.approx((bright + dark) / 2, abs=0.01)


def test_a_part_is_recoloured_as_it_would_be_within_the_whole(color, face, other, skin):
    measured = color.measure(other, face, skin)
    if measured is None:
        pytest.skip(f"{color} measures nothing")
    rows, columns = slice(31, 120), slice(17, 140)
    part = color.recolor(other[rows, columns], measured, Place(rows, columns, 160))
    np.testing.assert_allclose(part, color.recolor(other, measured, WHOLE)[rows, columns], atol=1e-5)


@pytest.mark.parametrize("name", ["sot", "iterative"])
def test_a_cube_moves_colours_as_it_says(face, name):
    from lib.swapping import colors

    nodes = colors.grid().astype(np.float32).reshape(colors.NODES, colors.NODES, colors.NODES, 3)
    np.testing.assert_allclose(colors.apply_cube(nodes * -0.5, face), face * 0.5, atol=2e-3)
    turned = nodes[..., ::-1] - nodes
    np.testing.assert_allclose(colors.apply_cube(turned, face), face[..., ::-1], atol=4e-3)
