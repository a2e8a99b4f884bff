"""Losses, against values worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from lib.dlib.recognition import MEAN, SCALE
from lib.nn import backend  # noqa: F401  TensorFlow starts silently
from lib.nn.pictures import blurred, resized
from lib.plugin import LOSSES
from lib.training.model.losses import detail_difference, loss_named, mean_absolute, style


def loss(name: str):
    """The loss plugin called `name`, as a function."""
    return loss_named(name).measure


def picture(rows: list[list[float]]) -> np.ndarray:
    """(1, H, W, 1) float32."""
    return np.array(rows, np.float32)[None, ..., None]


def test_mean_absolute():
    assert float(mean_absolute(picture([[0, 1], [0.5, 0.5]]), picture([[0, 0], [1, 0.25]]))) == pytest.approx((0 + 1 + 0.5 + 0.25) / 4)


def test_mean_absolute_with_a_weight():
    error = picture([[0, 1], [0.5, 0.25]])
    weight = picture([[9, 1], [2, 0]])
    assert float(mean_absolute(error, np.zeros_like(error), weight)) == pytest.approx((0 * 9 + 1 * 1 + 0.5 * 2 + 0.25 * 0) / 12)


def test_a_weight_of_one_changes_nothing_in_colour():
    random = np.random.default_rng(0)
    one, other = random.random((2, 3, 8, 8, 3), np.float32)
    assert float(mean_absolute(one, other, np.ones((3, 8, 8, 1), np.float32))) == pytest.approx(float(mean_absolute(one, other)))


def test_gradients_are_finite_even_where_nothing_is_wrong():
    import tensorflow as tf

    random = np.random.default_rng(0)
    target, weight = random.random((2, 16, 16, 3), np.float32), random.random((2, 16, 16, 1), np.float32)
    for start in (target, random.random(target.shape, np.float32)):
        found = tf.Variable(start)
        with tf.GradientTape() as tape:
            value = mean_absolute(found, target, weight)
        gradient = tape.gradient(value, found).numpy()
        assert np.isfinite(gradient).all()
        assert (np.abs(gradient).max() > 0) == (start is not target)


def wave(pixels: float, amplitude: float, start: float = 0.0) -> np.ndarray:
    """(1, 128, 128, 3) float32: grey, with upright stripes of so many pixels."""
    stripes = 0.5 + amplitude * np.sin(2 * np.pi * (np.arange(128) + start) / pixels)
    return np.broadcast_to(stripes[None, None, :, None], (1, 128, 128, 3)).astype(np.float32)


def inner() -> np.ndarray:
    """(1, 128, 128, 1) float32: all but the rim, beyond which nothing is known."""
    weight = np.zeros((1, 128, 128, 1), np.float32)
    weight[:, 32:-32, 32:-32] = 1
    return weight


def apart(picture: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    return float(detail_difference(picture, target, weight / weight.mean()))


def test_detail_counts_as_much_of_it_as_is_there():
    turn = 2 * np.pi / 6.4  # a pixel's; five waves are four blocks
    gain = np.cos(turn / 2) ** 4 * (2 - 2 * np.cos(turn))  # of two smoothings and the Laplacian
    found = apart(wave(6.4, 0.2), wave(6.4, 0.05), inner())
    assert found == pytest.approx(gain * (0.2 - 0.05) / np.sqrt(2), rel=0.02)


def test_detail_that_lies_elsewhere_is_as_good():
    one, other = wave(6.4, 0.2), wave(6.4, 0.2, start=3)
    assert float(mean_absolute(one, other)) > 0.1
    assert apart(one, other, inner()) < 2e-3


@pytest.mark.parametrize("pixels", [2, 4, 8])
def test_what_is_alike_in_every_block_is_no_detail(pixels):
    pattern = wave(pixels, 0.2, start=0.5)
    assert float(mean_absolute(pattern, np.full_like(pattern, 0.5))) > 0.1
    assert apart(pattern, np.full_like(pattern, 0.5), inner()) < 1e-4


def test_detail_counts_where_the_weight_is():
    picture, weight = wave(6.4, 0.2).copy(), inner()
    picture[:, :, 60:] = 0.5
    weight[:, :, :64] = 0
    assert apart(picture, np.full_like(picture, 0.5), weight) < 1e-4
    assert apart(picture, np.full_like(picture, 0.5), inner()) > 0.01


def test_the_gradient_of_the_detail_is_finite_where_there_is_none():
    import tensorflow as tf

    found = tf.Variable(np.full((1, 128, 128, 3), 0.5, np.float32))
    with tf.GradientTape() as tape:
        value = detail_difference(found, wave(6.4, 0.2), inner())
    assert float(value) > 0 and np.isfinite(tape.gradient(value, found).numpy()).all()


@pytest.fixture(scope="module")
def pair(astronaut) -> tuple[np.ndarray, np.ndarray]:
    """A face of 128 pixels and the same with noise, (1, 128, 128, 3) float32."""
    face = cv2.resize(astronaut[:256, 96:352], (128, 128), interpolation=cv2.INTER_AREA) / np.float32(255)
    noisy = np.clip(face + np.random.default_rng(0).normal(0, 0.1, face.shape), 0, 1).astype(np.float32)
    return face[None], noisy[None]


def taps(length: int, sigma: float = 1.5) -> np.ndarray:
    values = np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2) / sigma) ** 2)
    return values / values.sum()


def smooth(image: np.ndarray, length: int, sigma: float = 1.5, mode: str = "mirror") -> np.ndarray:
    """(H, W, C) under a Gaussian, by SciPy; `length` is odd."""
    for axis in (0, 1):
        image = ndimage.correlate1d(image, taps(length, sigma), axis, mode=mode)
    return image


def likeness(one: np.ndarray, other: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps of the likeness in light and in structure, (H, W, C), straight from the definition."""
    one, other = np.float64(one), np.float64(other)
    x, y = smooth(one, length), smooth(other, length)
    xx, yy, xy = (smooth(each, length) for each in (one * one, other * other, one * other))
    light = (2 * x * y + 1e-4) / (x * x + y * y + 1e-4)
    return light, (2 * (xy - x * y) + 9e-4) / (xx - x * x + yy - y * y + 9e-4)


def halved(image: np.ndarray) -> np.ndarray:
    return image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2, -1).mean((1, 3))


def test_of_single_pixels():
    one, other = picture([[0, 1], [0.5, 0.5]]), picture([[0, 0], [1, 0.25]])
    assert float(loss("mse")(one, other)) == pytest.approx((1 + 0.25 + 0.0625) / 4)
    assert float(loss("logcosh")(one, other)) == pytest.approx(np.log(np.cosh([0, 1, 0.5, 0.25])).mean(), rel=1e-5)
    assert float(loss("linf")(one, other)) == 1
    assert float(loss("linf")(one, other, picture([[1, 0], [1, 1]]))) == 0.5


def test_ssim_is_that_of_scikit_image(pair):
    one, other = pair
    wanted = structural_similarity(one[0], other[0], channel_axis=-1, gaussian_weights=True, use_sample_covariance=False, data_range=1)
    weight = np.zeros((1, 128, 128, 1), np.float32)
    weight[:, 5:-5, 5:-5] = 1  # scikit-image leaves the border out
    assert float(loss("ssim")(one, other, weight)) == pytest.approx(1 - wanted, rel=1e-4)
    assert float(loss("dssim")(one, other)) == pytest.approx((1 - wanted) / 2, rel=1e-4)


def test_dssim_at_two_scales(pair):
    parts = [np.prod(likeness(pair[0][0], pair[1][0], length), 0)[length // 2:-(length // 2), length // 2:-(length // 2)]
             for length in (11, 5)]
    assert float(loss("dssim2")(*pair)) == pytest.approx(np.mean([(1 - part.mean()) / 2 for part in parts]), rel=1e-4)


def test_ms_ssim(pair):
    one, other = pair[0][0], pair[1][0]
    product = 1.0
    for exponent, length in zip((0.0448, 0.2856, 0.3001, 0.2363, 0.1333), (7, 3, 3, 3, 3)):
        light, structure = likeness(one, other, length)
        if len(one) == 8:
            structure = light * structure
        product = product * np.maximum(structure.mean((0, 1)), 0) ** exponent
        one, other = halved(one), halved(other)
    assert float(loss("ms_ssim")(*pair)) == pytest.approx(1 - product.mean(), rel=1e-3)


def test_derivatives_of_a_slope():
    slope = picture([[0, 0.1, 0.2, 0.3]] * 3)
    first, second = 2 * 0.05 ** 2 + 2 * 0.1 ** 2, 2 * 0.1 ** 2  # of a row: halved, and bent, at its ends
    assert float(loss("gradient")(slope, np.zeros_like(slope))) == pytest.approx((first + second) / 4 / 2)
    assert float(loss("gradient")(np.full_like(slope, 0.7), np.zeros_like(slope))) == 0


def test_laplacian_pyramid(pair):
    error, total = np.float64(pair[1][0] - pair[0][0]), 0.0
    for level in range(5):
        coarse = smooth(error, 5, 1.0, "nearest")
        total += np.abs(error - coarse).mean() / 4 ** level
        error = halved(coarse) if len(coarse) > 1 else coarse
    assert float(loss("laplacian")(*pair)) == pytest.approx(total + np.abs(error).mean() / 4 ** 5, rel=1e-4)
    assert float(loss("laplacian")(np.full_like(pair[0], 0.5), np.zeros_like(pair[0]))) == pytest.approx(0.5 / 4 ** 5, rel=1e-4)


def test_focal_frequency():
    flat = np.full((1, 32, 32, 3), 0.2, np.float32)
    assert float(loss("frequency")(flat, np.zeros_like(flat))) == pytest.approx(0.04, rel=1e-4)
    waves = flat + np.float32(0.1) * np.cos(2 * np.pi * np.arange(32, dtype=np.float32) / 8)[None, :, None, None]
    assert float(loss("frequency")(waves, np.zeros_like(flat))) == pytest.approx(0.2 ** 2 + 0.1 ** 3 / (4 * 0.2), rel=1e-4)


def test_gmsd(pair):
    edges = []
    for image in pair:
        gray = halved(np.float64(image[0]) @ (0.299, 0.587, 0.114))[..., 0]
        edges.append(np.hypot(*(ndimage.prewitt(gray, axis) / 3 for axis in (0, 1)))[1:-1, 1:-1])
    alike = (2 * edges[0] * edges[1] + 0.0026) / (edges[0] ** 2 + edges[1] ** 2 + 0.0026)
    assert float(loss("gmsd")(*pair)) == pytest.approx(alike.std(), rel=1e-3)


@pytest.mark.parametrize("name", LOSSES.names())
def test_every_loss_at_its_extremes(name, pair):
    import tensorflow as tf

    one, other = pair
    black, white = np.zeros_like(one), np.ones_like(one)
    assert abs(float(loss(name)(one, one))) < 1e-5
    assert float(loss(name)(other, one)) > 1e-4
    weight = np.ones((1, 128, 128, 1), np.float32)
    assert float(loss(name)(other, one, weight)) == pytest.approx(float(loss(name)(other, one)), rel=1e-4)
    for found, target in ((one, one), (black, black), (black, white), (white, black), (other, one)):
        variable = tf.Variable(found)
        with tf.GradientTape() as tape:
            value = loss(name)(variable, target, weight)
        assert np.isfinite(float(value)) and np.isfinite(tape.gradient(value, variable).numpy()).all()


@pytest.mark.parametrize("name", LOSSES.names())
def test_what_does_not_count_does_not(name, pair):
    one, other = pair
    weight = np.zeros((1, 128, 128, 1), np.float32)
    weight[:, :, :48] = 1
    changed = one.copy()
    changed[:, :, 64:] = other[:, :, 64:]
    assert abs(float(loss(name)(changed, one, weight))) < 1e-5
    changed = one.copy()
    changed[:, :, :32] = other[:, :, :32]
    assert float(loss(name)(changed, one, weight)) > 1e-4


def test_features_are_those_by_which_dlib_tells_people_apart(astronaut):
    from lib.dlib.recognition import network_file, read
    from lib.nn.dlib_features import features
    from lib.plugin import RECOGNIZERS

    face = cv2.resize(astronaut[50:290, 100:340], (150, 150), interpolation=cv2.INTER_AREA)
    *_, last = features(face[None] / np.float32(255))
    _, matrix = read(network_file().read_bytes())
    chips = np.ascontiguousarray((face - MEAN)[None].transpose(0, 3, 1, 2) * SCALE)
    [expected] = RECOGNIZERS.create("dlib_resnet")._network.run(None, {"chips": chips})
    np.testing.assert_allclose(np.asarray(last).mean((1, 2)) @ matrix, expected, atol=1e-4)


def test_perceptual_goes_by_likeness(pair, astronaut, hopper):
    """A face moved by a pixel, which any loss of pixels minds, is nearer than another face."""
    one, other, moved = (np.float32(cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA))[None] / 255
                         for image in (astronaut[50:290, 100:340], hopper[60:420, 60:420], astronaut[52:292, 102:342]))
    near, far = float(loss("perceptual")(moved, one)), float(loss("perceptual")(other, one))
    assert 0 < near < 0.2 * far < 0.4


def test_every_loss_is_listed_among_the_plugins(faceswap):
    listed = faceswap("plugins", "losses").stdout.splitlines()[1:]
    assert [line.split()[0] for line in listed] == LOSSES.names() and len(LOSSES.names()) >= 13
    assert "--loss" in faceswap("train", "--help", "all").stdout
def test_style_compares_colours_and_their_spread(pair):
    one, _ = pair
    assert float(style(one, one, 4)) < 1e-8
    assert float(style(one * 0.5 + 0.1, one * 0.5, 4)) == pytest.approx(0.01, rel=1e-3)
    assert float(style(one[:, ::-1], one, 4)) < 1e-6, "wherever they are"


def test_blurred_and_resized(pair):
    one, _ = pair
    np.testing.assert_allclose(np.asarray(blurred(one, 2.0))[0], smooth(one[0], 9, 2.0), atol=1e-4)
    for side in (64, 128, 256, 96):
        small = np.asarray(resized(one, side))
        assert small.shape == (1, side, side, 3) and abs(small.mean() - one.mean()) < 1e-3


def test_every_loss_that_can_be_chosen_is_listed(faceswap):
    assert "faceswap.py plugins losses" in " ".join(faceswap("train", "--help", "all").stdout.split())
    said = faceswap("plugins", "losses").stdout.split("\n")
    assert [line.split()[0] for line in said if line.startswith("  ")] == list(LOSSES.names())
