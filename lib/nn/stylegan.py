"""Networks of style-based generators and their discriminators. Feature maps are (N, H, W, C).

"A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR, 2019, and
"Analyzing and Improving the Image Quality of StyleGAN", CVPR, 2020.
"""

from __future__ import annotations

import math

import keras
from keras import layers, ops

from lib.nn.stylegan_layers import (
    GAIN,
    AdaIN,
    Bias,
    Constant,
    EqualConv2D,
    EqualDense,
    MeanStyle,
    ModulatedConv2D,
    Noise,
    Resampled,
    Spread,
    Unit,
    leaky,
)


def mapping(latent: int, depth: int) -> keras.Model:
    """z (N, D), normal -> w (N, D). Its layer "mean_style" remembers the mean of w."""
    z = keras.Input((latent,))
    x = Unit(dtype="float32")(z)
    for _ in range(depth):
        x = leaky(EqualDense(latent, rate=0.01, gain=GAIN, dtype="float32")(x))
    return keras.Model(z, MeanStyle(dtype="float32", name="mean_style")(x), name="mapping")


def widths(size: int, base: int, most: int) -> dict[int, int]:
    """Resolution -> channels, from 4 to `size` pixels."""
    return {4 << power: max(1, min(base // (4 << power), most))
            for power in range(int(math.log2(size)) - 1)}


def slots(size: int) -> int:
    """Number of styles that a picture is made of: two a resolution."""
    return 2 * int(math.log2(size)) - 2


def synthesis(size: int, latent: int, base: int, most: int) -> keras.Model:
    """(N, L, D) styles w -> (N, S, S, 3) float32, about [-1, 1]: each resolution adds its picture
    (skip connections), of 2020.
    """
    styles = keras.Input((slots(size), latent))
    picture, number = None, 0
    for side, filters in widths(size, base, most).items():
        if side == 4:
            x = Constant(filters)(styles)
        else:
            x = _styled(x, styles[:, number], filters, "up")
            number += 1
        x = _styled(x, styles[:, number], filters)
        number += 1
        rgb = Bias(dtype="float32")(ModulatedConv2D(3, 1, demodulate=False)([x, styles[:, number]]))
        if picture is None:
            picture = rgb
        else:
            larger = Resampled("up", dtype="float32")(picture)
            picture = layers.Add(dtype="float32")([larger, rgb])
    return keras.Model(styles, picture, name="synthesis")


def _styled(x, w, filters: int, scale: str | None = None):
    return leaky(Bias(GAIN)(Noise(gain=GAIN)(ModulatedConv2D(filters, 3, scale,
                                                             gain=GAIN)([x, w]))))


def discriminator(size: int, base: int, most: int) -> keras.Model:
    """(N, S, S, 3) in [-1, 1] -> (N, 1) float32 logits: residual, of 2020."""
    filters = widths(size, base, most)
    picture = keras.Input((size, size, 3))
    x = leaky(EqualConv2D(filters[size], 1, gain=GAIN)(picture))
    for side in sorted(filters, reverse=True)[:-1]:
        skip = EqualConv2D(filters[side // 2], 1, "down", use_bias=False, gain=math.sqrt(0.5))(x)
        y = leaky(EqualConv2D(filters[side], gain=GAIN)(x))
        y = leaky(EqualConv2D(filters[side // 2], scale="down", gain=GAIN * math.sqrt(0.5))(y))
        x = layers.Add()([skip, y])
    return keras.Model(picture, _judged(x, filters[4]), name="discriminator")


def _judged(x, filters: int):
    """The end of both discriminators, at 4 x 4 pixels."""
    x = leaky(EqualConv2D(filters, gain=GAIN)(Spread()(x)))
    x = leaky(EqualDense(filters, gain=GAIN)(layers.Flatten()(x)))
    return EqualDense(1, dtype="float32")(x)


def synthesis_of_2019(size: int, latent: int, base: int, most: int) -> keras.Model:
    """As `synthesis`, as the paper of 2019 has it, but grown at once: noise, bias, leaky ReLU and
    then styles that stretch normed channels.

    RGB is made once, at the end, where the paper's, which grows, can make it at every resolution.
    Norms undo gains, which it goes without.
    """
    styles = keras.Input((slots(size), latent))
    number = 0
    for side, filters in widths(size, base, most).items():
        if side == 4:
            x = Constant(filters, ones=True)(styles)
        else:
            x = Resampled("blur")(EqualConv2D(filters, use_bias=False)(layers.UpSampling2D(2)(x)))
        for first in (True, False):
            x = x if first else EqualConv2D(filters, use_bias=False)(x)
            x = AdaIN()([leaky(Bias()(Noise(each=True)(x))), styles[:, number]])
            number += 1
    return keras.Model(styles, EqualConv2D(3, 1, dtype="float32")(x), name="synthesis")


def discriminator_of_2019(size: int, base: int, most: int) -> keras.Model:
    """As `discriminator`, as the paper of 2019 has it, but grown at once: pictures come in at full
    size alone.
    """
    filters = widths(size, base, most)
    picture = keras.Input((size, size, 3))
    x = leaky(EqualConv2D(filters[size], 1, gain=GAIN)(picture))
    for side in sorted(filters, reverse=True)[:-1]:
        x = leaky(EqualConv2D(filters[side], gain=GAIN)(x))
        x = leaky(EqualConv2D(filters[side // 2], gain=GAIN)(Resampled("blur")(x)))
        x = layers.AveragePooling2D(2)(x)
    return keras.Model(picture, _judged(x, filters[4]), name="discriminator")


def broadcast(w, count: int):
    """(N, D) -> (N, L, D): one style for all layers."""
    return ops.repeat(w[:, None], count, 1)


def truncated(w, mean, psi: float):
    """Styles (N, ..., D) moved towards their mean (D,): psi 1 leaves them, 0 gives the mean. Fewer
    odd faces, fewer different ones.
    """
    return mean + psi * (w - mean)


def mixed(first, second, crossover):
    """(N, L, D): the styles of `first` before the layer `crossover` (N,), those of `second` from
    there on.
    """
    numbers = ops.arange(first.shape[1])
    return ops.where((numbers[None] < ops.cast(crossover, "int32")[:, None])[..., None], first,
                     second)
