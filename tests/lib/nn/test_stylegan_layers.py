"""Layers and networks of StyleGAN, against the papers."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from lib.nn import backend, initial_weights, stylegan, stylegan_layers
from tests.backends import answer_of

import keras  # isort: skip
from keras import ops  # isort: skip

SMALL = {"size": 16, "base": 256, "most": 16}  # 16, 16 and 16 channels
LATENT = 8
DESIGNS = {"2020": (stylegan.synthesis, stylegan.discriminator), "2019": (stylegan.synthesis_of_2019, stylegan.discriminator_of_2019)}


@pytest.fixture(scope="module", autouse=True)
def float32():
    backend.set_up("float32", 1)


@pytest.fixture(scope="module", params=DESIGNS)
def design(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def synthesis(design) -> keras.Model:
    return DESIGNS[design][0](latent=LATENT, **SMALL)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def changed(network: keras.Model, seed: int = 0) -> None:
    """Gives every weight something, noise strengths and biases too, which begin at 0."""
    random = np.random.default_rng(seed)
    network.set_weights([weight + 0.3 * random.standard_normal(weight.shape, np.float32) for weight in network.get_weights()])


def test_demodulated_kernels_have_unit_norm():
    kernel, styles = normal(3, 3, 5, 7), normal(4, 5, seed=1)
    weighed = kernel[None] * styles[:, None, None, :, None] * np.asarray(stylegan_layers.demodulation(kernel, styles))[:, None, None, None]
    np.testing.assert_allclose(np.sqrt(np.square(weighed).sum((1, 2, 3))), np.ones((4, 7)), rtol=1e-5)


@pytest.mark.parametrize("scale", [None, "up"])
@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_is_each_pictures_own(scale, demodulate):
    """As the paper has it, with a kernel for each picture."""
    x, w = normal(3, 6, 6, 5), normal(3, LATENT, seed=1)
    layer = stylegan_layers.ModulatedConv2D(4, 3, scale, demodulate)
    y = np.asarray(layer([x, w]))
    styles = np.asarray(layer.style(w))
    if not demodulate:
        styles = styles / np.float32(np.sqrt(5))
    kernels = np.asarray(layer.kernel)[None] * styles[:, None, None, :, None]
    if demodulate:
        kernels = kernels / np.sqrt(np.square(kernels).sum((1, 2, 3), keepdims=True) + 1e-8)
    own = np.concatenate([stylegan_layers.convolved(ops.convert_to_tensor(x[[place]]), ops.convert_to_tensor(kernel), scale)
                          for place, kernel in enumerate(kernels)])
    np.testing.assert_allclose(y, own, atol=1e-4)


def spread_out(x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) -> (N, 2 H, 2 W, C): zeros between."""
    count, height, width, channels = x.shape
    wide = np.zeros((count, 2 * height, 2 * width, channels), np.float32)
    wide[:, ::2, ::2] = x
    return wide


def filtered(x: np.ndarray, before: int, after: int) -> np.ndarray:
    """Through [1, 3, 3, 1] / 8 along both axes, place by place, with zeros beyond the border."""
    x = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    for axis in (1, 2):
        length = x.shape[axis] - 3
        x = sum(weight * np.take(x, range(first, first + length), axis) for first, weight in enumerate(np.float32([1, 3, 3, 1]) / 8))
    return x


def test_twice_as_large_is_zeros_between_a_convolution_and_the_filter():
    x, kernel = normal(2, 5, 5, 3), normal(3, 3, 3, 4, seed=1)
    # the filter before or after the convolution is the same but at the border
    wanted = np.asarray(ops.conv(4 * filtered(spread_out(x), 2, 1), ops.convert_to_tensor(kernel), 1, "same"))
    np.testing.assert_allclose(np.asarray(stylegan_layers.convolved(x, kernel, "up"))[:, 2:-2, 2:-2], wanted[:, 2:-2, 2:-2], atol=1e-4)


@pytest.mark.parametrize("side", [1, 3])
def test_half_as_large_is_the_filter_and_a_convolution_with_strides(side):
    x, kernel = normal(2, 8, 8, 3), normal(side, side, 3, 4, seed=1)
    edge = (side + 1) // 2
    wanted = ops.conv(ops.convert_to_tensor(filtered(x, edge, edge)), ops.convert_to_tensor(kernel), 2, "valid")
    np.testing.assert_allclose(stylegan_layers.convolved(x, kernel, "down"), wanted, atol=1e-4)
    assert wanted.shape == (2, 4, 4, 4)


@pytest.mark.parametrize("resampled", [stylegan_layers.enlarged, stylegan_layers.blurred,
                                       lambda x: stylegan_layers.convolved(x, np.ones((1, 1, 1, 1), np.float32), "down")],
                         ids=["enlarged", "blurred", "halved"])
def test_an_even_picture_stays_even(resampled):
    inner = np.asarray(resampled(np.full((1, 12, 12, 1), 0.7, np.float32)))[:, 2:-2, 2:-2]
    np.testing.assert_allclose(inner, np.full_like(inner, 0.7), rtol=1e-6)


@pytest.mark.parametrize("layer, shape", [
    (stylegan_layers.EqualDense(256, rate=0.01), (64, 300)),
    (stylegan_layers.EqualConv2D(64), (4, 16, 16, 40)),
    (stylegan_layers.ModulatedConv2D(64), (4, 16, 16, 40))], ids=["dense", "convolution", "modulated"])
def test_what_comes_out_is_as_wide_as_what_goes_in(layer, shape):
    x = normal(*shape)
    y = np.asarray(layer([x, np.zeros((4, LATENT), np.float32)] if isinstance(layer, stylegan_layers.ModulatedConv2D) else x))
    assert y[:, 1:-1].std() == pytest.approx(1, abs=0.06)


def test_weights_are_scaled_by_the_root_of_what_comes_in():
    layer = stylegan_layers.EqualDense(7, rate=0.01, bias=1.0)
    x = normal(5, 16)
    y = np.asarray(layer(x))
    kernel = np.asarray(layer.kernel)
    np.testing.assert_allclose(y, x @ kernel * 0.01 / 4 + 1, rtol=1e-4, atol=1e-4)
    assert kernel.std() == pytest.approx(100, rel=0.3)


def test_noise_begins_at_nothing_and_is_new_for_each_picture_in_training():
    x = np.zeros((2, 8, 8, 3), np.float32)
    layer = stylegan_layers.Noise()
    assert not np.any(layer(x)) and not np.any(layer(x, training=True))
    layer.strength.assign([0.5])
    one, other = np.asarray(layer(x, training=True))
    again = np.asarray(layer(x, training=True))
    assert np.array_equal(one[..., 0], one[..., 2]) and not np.array_equal(one, other) and not np.array_equal(one, again[0])
    one, other = np.asarray(layer(x))
    assert np.array_equal(one, other) and np.array_equal(one, layer(x)[0]) and 0.3 < one.std() < 0.7


def test_pictures_of_a_group_tell_how_they_differ():
    x = np.zeros((8, 4, 4, 3), np.float32)
    x[0], x[4] = 1, -1  # of a group: every second picture
    spread = np.asarray(stylegan_layers.Spread()(x))
    np.testing.assert_array_equal(spread[..., :3], x)
    np.testing.assert_allclose(spread[::2, :, :, 3], np.full((4, 4, 4), np.sqrt(0.5)), rtol=1e-5)  # of 1, 0, -1, 0
    assert np.abs(spread[1::2, :, :, 3]).max() < 1e-3
    assert stylegan_layers.Spread()(x[:6]).shape == (6, 4, 4, 4)


def test_latents_have_a_mean_square_of_one():
    np.testing.assert_allclose(np.square(np.asarray(stylegan_layers.Unit()(3 * normal(4, 9)))).mean(1), np.ones(4), rtol=1e-5)


def test_the_mean_style_follows_in_training_alone():
    network = stylegan.mapping(LATENT, 2)
    mean = network.get_layer("mean_style").mean
    z = normal(64, LATENT)
    network(z)
    assert not np.any(mean)
    w = np.asarray(network(z, training=True)).mean(0)
    np.testing.assert_allclose(mean, 0.002 * w, rtol=1e-4, atol=1e-7)


def test_truncated_to_nothing_all_are_the_mean_face(synthesis):
    w, mean = normal(3, LATENT), normal(LATENT, seed=1)
    pictures = np.asarray(synthesis(stylegan.broadcast(stylegan.truncated(w, mean, 0.0), stylegan.slots(SMALL["size"]))))
    face = np.asarray(synthesis(stylegan.broadcast(mean[None], stylegan.slots(SMALL["size"]))))
    np.testing.assert_allclose(pictures, np.repeat(face, 3, 0), atol=1e-5)
    np.testing.assert_array_equal(stylegan.truncated(w, np.zeros(LATENT, np.float32), 1.0), w)


def test_mixing_changes_the_layers_from_the_crossover_on(synthesis):
    count = stylegan.slots(SMALL["size"])
    one, other = (stylegan.broadcast(normal(count + 1, LATENT, seed=seed), count) for seed in (0, 1))
    mixed = np.asarray(stylegan.mixed(one, other, np.arange(count + 1)))
    for crossover in range(count + 1):
        np.testing.assert_array_equal(mixed[crossover, :crossover], one[crossover, :crossover])
        np.testing.assert_array_equal(mixed[crossover, crossover:], other[crossover, crossover:])
    first, last = np.asarray(synthesis(one)), np.asarray(synthesis(mixed))
    np.testing.assert_allclose(last[-1], first[-1], atol=1e-5)
    assert np.abs(last[:-1] - first[:-1]).mean((1, 2, 3)).min() > 1e-3, "every layer has a say"


@pytest.mark.parametrize("design", DESIGNS)
def test_maps_are_as_coarse_as_the_layers_that_a_style_is_for(design):
    """A style of the finest layers alone moves no feature map of the coarser ones."""
    synthesis = DESIGNS[design][0](latent=LATENT, **SMALL)
    maps = keras.Model(synthesis.input, [layer.output for layer in synthesis.layers if isinstance(layer, stylegan_layers.Leaky)])
    count = stylegan.slots(SMALL["size"])
    one = np.asarray(stylegan.broadcast(normal(1, LATENT), count))
    for slot in range(count):
        moved = one.copy()
        moved[:, slot] = normal(1, LATENT, seed=1)
        same = [np.array_equal(*both) for both in zip(map(np.asarray, maps(one)), map(np.asarray, maps(moved)), strict=True)]
        # in 2020 a style is for the convolution before a map, in 2019 for what is done to it after
        assert same == [True] * (slot + (design == "2019")) + [False] * (len(same) - slot - (design == "2019")), slot


def test_both_are_of_the_sizes_that_they_should_be(design):
    synthesis, discriminator = DESIGNS[design]
    drawn = synthesis(latent=LATENT, **SMALL)(normal(4, 6, LATENT))
    told = discriminator(**SMALL)(drawn)
    assert drawn.shape == (4, 16, 16, 3) and told.shape == (4, 1)
    assert np.isfinite(drawn).all() and np.isfinite(told).all() and 0.1 < np.asarray(drawn).std() < 4


def test_half_precision_gives_nearly_the_same(design):
    keras.utils.set_random_seed(1)  # whatever tests ran before
    makers, x = DESIGNS[design], normal(4, 6, LATENT)
    wide = [makers[0](latent=LATENT, **SMALL), makers[1](**SMALL)]
    for network in wide:
        changed(network)
    wanted = np.asarray(wide[0](x))
    try:
        for precision in ("bfloat16", "float16"):
            backend.set_up(precision, 1)
            narrow = [makers[0](latent=LATENT, **SMALL), makers[1](**SMALL)]
            for one, other in zip(narrow, wide):
                one.set_weights(other.get_weights())
            drawn, told = np.asarray(narrow[0](x)), np.asarray(narrow[1](wanted))
            assert drawn.dtype == told.dtype == np.float32
            tolerance = 0.08 if precision == "bfloat16" else 0.01
            assert np.abs(drawn - wanted).max() < tolerance * np.abs(wanted).max()
            assert np.abs(told - np.asarray(wide[1](wanted))).max() < tolerance * 4
    finally:
        backend.set_up("float32", 1)


def test_a_network_comes_back_from_what_describes_it(design):
    for network in (DESIGNS[design][0](latent=LATENT, **SMALL), DESIGNS[design][1](**SMALL), stylegan.mapping(LATENT, 2)):
        again = keras.Model.from_config(network.get_config())
        again.set_weights(network.get_weights())
        x = normal(4, *network.input_shape[1:])
        np.testing.assert_array_equal(network(x), again(x))


def trainable(network: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


def test_the_mapping_has_the_published_count_of_parameters():
    assert trainable(stylegan.mapping(512, 8)) == 2_101_248


@pytest.mark.parametrize("size, base, generator, discriminator", [
    (128, 16384, 24_525_213, 23_882_369), (256, 16384, 24_767_458, 24_001_089), (1024, 32768, 30_370_060, 29_012_513)])
def test_networks_of_2020_have_the_published_counts_of_parameters(size, base, generator, discriminator):
    with keras.StatelessScope(initialize_variables=False):  # sizes alone
        assert trainable(stylegan.synthesis(size, 512, base, 512)) == generator - 2_101_248
        assert trainable(stylegan.discriminator(size, base, 512)) == discriminator
    keras.utils.clear_session()


def test_networks_of_2019_have_the_published_counts_of_parameters():
    """But for RGB, which those that grow have at every resolution: at 1024 pixels of 512 channels four times, then of 256 to 16."""
    with keras.StatelessScope(initialize_variables=False):
        assert trainable(stylegan.synthesis_of_2019(1024, 512, 16384, 512)) == 24_110_720 + 3 * 16 + 3
        everywhere = sum(4 * channels for channels in (512, 512, 512, 512, 256, 128, 64, 32, 16))
        assert trainable(stylegan.discriminator_of_2019(1024, 16384, 512)) == 23_087_249 - everywhere + 4 * 16
    keras.utils.clear_session()


def forwards(given: dict) -> list:
    """What networks draw and tell that every backend begins with alike, and two slopes of them."""
    backend.set_up("float32", 1)
    from lib.training.model.adversarial import path_lengths, r1

    found = []
    for synthesis, discriminator in DESIGNS.values():
        networks = {"mapping": stylegan.mapping(LATENT, 2), "synthesis": synthesis(latent=LATENT, **SMALL),
                    "discriminator": discriminator(**SMALL)}
        initial_weights.draw(networks, 3)
        w = networks["mapping"](ops.convert_to_tensor(normal(4, LATENT)))
        styles = stylegan.broadcast(w, stylegan.slots(SMALL["size"]))
        drawn = networks["synthesis"](styles)
        values = [drawn[:, ::5, ::5], networks["discriminator"](drawn), r1(networks["discriminator"], drawn),
                  path_lengths(networks["synthesis"], styles, ops.convert_to_tensor(normal(4, 16, 16, 3)))]
        found.append([np.asarray(ops.convert_to_numpy(value)).tolist() for value in values])
    return found


@pytest.mark.parametrize("other", ["jax", "torch"])
def test_other_backends_draw_and_tell_the_same(other):
    for ours, theirs in zip(forwards({}), answer_of(__file__, other, {}), strict=True):
        for one, another in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(another, one, rtol=2e-3, atol=2e-3)


if __name__ == "__main__":
    print(json.dumps(forwards(json.loads(sys.argv[1]))))
