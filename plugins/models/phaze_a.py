"""A swap network that is put together freely."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from lib.errors import UsageError
from lib.nn.blocks import (
    Restyled,
    downscale,
    evened,
    fast_upscale,
    hybrid_upscale,
    leaky_residual,
    picture,
    picture_and_mask,
    plain_mask,
    resize_upscale,
    smooth_upscale,
    upscale,
)
from lib.nn.encoders import ENCODERS, applied
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.autoencoder import Autoencoder

UPSCALES = {"subpixel": upscale, "resize": resize_upscale, "hybrid": hybrid_upscale,
            "fast": fast_upscale, "dny": smooth_upscale}
STYLE = 512  # numbers that say how the G-block is to change a face


@MODELS.register
@dataclass
class PhazeA(Autoencoder):
    """Every part can be chosen, or taken from keras.applications: for experiments.

    Presets make it most known networks. An encoder, a bottleneck, dense layers of their own for
    each person, a block that restyles what these make, and a decoder.
    """

    output: int = option(128, "Side of the face that it draws, pixels.", low=64, high=1024, step=16)
    coverage: str = option("full", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    learn_mask: bool = option(False, "Also learn the mask of the face, for convert -M predicted.")

    encoder_kind: str = option("fs_original", "fs_original, or a network of keras.applications, "
                               "such as efficientnet_b4.")
    encoder_scale: int = option(7, "Side of the face that it sees, percent of what the encoder was "
                                "made for (fs_original: 1024).", low=1, high=200)
    encoder_pretrained: bool = option(False, "Start from the encoder's ImageNet weights, which are "
                                      "downloaded; see --freeze encoder.")
    encoder_depth: int = option(4, "Stages of fs_original.", low=2, high=10)
    encoder_min: int = option(128, "Filters of the first stage of fs_original; each deeper one "
                              "doubles them.", low=16, high=2048)
    encoder_max: int = option(1024, "Most filters of a stage of fs_original.", low=256, high=8192)
    encoder_alternative: bool = option(False, "fs_original with two convolutions and a pooling a "
                                       "stage, in place of a convolution with a stride.")

    bottleneck: str = option("dense", "How the encoder's features become a code.",
                             choices=("dense", "average", "max", "flatten"))
    bottleneck_size: int = option(1024, "Length of a dense code.", low=128, high=4096)
    bottleneck_norm: str = option("none", "Normalisation before the bottleneck.",
                                  choices=("none", "instance", "layer", "rms"))
    bottleneck_in_encoder: bool = option(True, "One bottleneck for both people, rather than one in "
                                         "the dense layers of each.")

    fc_depth: int = option(1, "Dense layers behind the code.", low=0, high=16)
    fc_min: int = option(1024, "Filters of the grid that the first dense layer makes.", low=16,
                         high=5120)
    fc_max: int = option(1024, "Filters of the grid that the last dense layer makes.", low=64,
                         high=5120)
    fc_side: int = option(4, "Side of the grid that dense layers make.", low=1, high=16)
    fc_slope: float = option(-0.5, "Shape of the curve of filters from the first to the last; 0: "
                             "straight.", low=-0.99, high=0.99)
    fc_dropout: float = option(0.0, "Dropout before each dense layer.",
                               low=0.0, high=0.99)
    fc_upscale: str = option("upsample2d", "How the grid is enlarged; upsample2d only repeats it.",
                             choices=("upsample2d", "subpixel", "resize", "hybrid", "fast", "dny"))
    fc_upscales: int = option(1, "How many times the grid is enlarged.", low=0, high=4)
    fc_filters: int = option(512, "Filters of the enlarged grid; not for upsample2d.",
                             low=128, high=5120)
    split_fc: bool = option(True, "Separate dense layers for each person.")
    shared_fc: str = option("none", "Dense layers besides these: none, full (shared by both), half "
                            "(those of A).", choices=("none", "full", "half"))

    gblock: bool = option(True, "A block that restyles the grid by the code (g-block).")
    split_gblock: bool = option(False, "A separate g-block for each person.")
    gblock_depth: int = option(3, "Dense layers that turn the code into a style.", low=1, high=16)

    split_decoders: bool = option(False, "A separate decoder for each person.")
    decoder_upscale: str = option("subpixel", "How the decoder's stages enlarge a face.",
                                  choices=("subpixel", "resize", "hybrid", "fast", "dny"))
    decoder_max: int = option(512, "Filters of the decoder's first stage.", low=16, high=5120)
    decoder_min: int = option(64, "Filters of the decoder's last stage.", low=16, high=512)
    decoder_slope: float = option(-0.45, "Shape of the curve of filters from the first to the "
                                  "last; 0: straight.", low=-0.99, high=0.99)
    decoder_mode: str = option("full", "How the decoder's filters fall: full: along a curve; "
                               "cap_max, cap_min: by a factor, and level at the start or the end.",
                               choices=("full", "cap_max", "cap_min"))
    decoder_residuals: int = option(1, "Residual blocks in a stage of the decoder.", low=0, high=8)
    decoder_skip_last: bool = option(True, "No residual blocks in the decoder's last stage.")
    decoder_norm: str = option("none", "Normalisation in the decoder.",
                               choices=("none", "instance", "layer", "rms"))
    decoder_noise: bool = option(True, "Noise in each stage of the decoder while training.")
    decoder_kernel: int = option(5, "Kernel size of the last convolution.", low=1, high=9)
    decoder_in_fc: int = option(0, "Stages of the decoder that belong to the dense layers instead.",
                                low=0, high=6)
    batch = 8

    def __post_init__(self):
        if self.encoder_kind not in ENCODERS:
            raise UsageError(f"--model.encoder-kind must be one of {', '.join(ENCODERS)}, not "
                             f"{self.encoder_kind!r}.")
        if self.encoder_pretrained and self.encoder_kind == "fs_original":
            raise UsageError("--model.encoder-pretrained is for networks of keras.applications, "
                             "not for fs_original.")
        if self.fc_depth == 0 and (self.bottleneck != "dense"
                                   or self.bottleneck_size != self.fc_max * self.fc_side ** 2):
            raise UsageError("--model.fc-depth 0 needs a dense bottleneck as large as the grid: "
                             "fc-max times the square of fc-side.")
        if self.size < 2 ** self.encoder_depth and self.encoder_kind == "fs_original":
            raise UsageError(f"--model.encoder-scale {self.encoder_scale} makes {self.size} "
                             f"pixels: too few for {self.encoder_depth} stages.")
        if self.decoder_kernel % 2 == 0:
            raise UsageError("--model.decoder-kernel must be odd.")
        if not 0 <= self.decoder_in_fc < len(self.filters):
            raise UsageError("--model.decoder-in-fc must be less than the decoder's "
                             f"{len(self.filters)} stages.")

    @property
    def size(self) -> int:
        native, least = ENCODERS[self.encoder_kind][:2]
        return max(least, int(native * self.encoder_scale / 100 / 16) * 16)

    @property
    def drawn(self) -> int:
        return self.output

    @property
    def filters(self) -> list[int]:
        """Of the decoder's stages, those in the dense layers' part included."""
        stages = int(np.log2(self.output // self.start))
        if self.decoder_mode == "full":
            return curve(self.decoder_max, self.decoder_min, stages, self.decoder_slope)
        steps = [self.decoder_max]
        while steps[-1] > self.decoder_min and len(steps) < stages:
            steps.append(max(self.decoder_min,
                             int(steps[-1] * (1 - abs(self.decoder_slope))) // 8 * 8))
        rest = stages - len(steps)
        if self.decoder_mode == "cap_max":
            return [self.decoder_max] * rest + steps
        return steps + [self.decoder_min] * rest

    @property
    def start(self) -> int:
        """Side of the grid that the decoder's stages begin with: the output's, halved until it is
        no larger than what there is.
        """
        side = self.output
        while side > self.fc_side * 2 ** self.fc_upscales:
            side //= 2
        return side

    def networks(self) -> dict[str, keras.Model]:
        networks = {"encoder": self.encoder()}
        code = networks["encoder"].output_shape[1:]
        networks |= {f"fc_{name}": self.dense(code)
                     for name in (("a", "b") if self.split_fc else ("both",))}
        if self.shared_fc == "full":
            networks["fc_shared"] = self.dense(code)
        grid = networks["fc_a" if self.split_fc else "fc_both"].output_shape[1:]
        grid = (*grid[:2], grid[2] * (1 if self.shared_fc == "none" else 2))
        if self.gblock:
            networks["fc_gblock"] = self.style(code)
            networks |= {f"gblock{name}": self.restyling(grid)
                         for name in (("_a", "_b") if self.split_gblock else ("",))}
        return networks | {f"decoder{name}": self.decoder(grid)
                           for name in (("_a", "_b") if self.split_decoders else ("",))}

    def decode(self, networks, code, identity, training=False):
        def call(name, inputs):
            return networks[name](inputs, training=training)

        x = call(f"fc_{identity}" if self.split_fc else "fc_both", code)
        if self.shared_fc != "none":
            of_one = "fc_a" if self.split_fc else "fc_both"
            beside = "fc_shared" if self.shared_fc == "full" else of_one
            x = ops.concatenate([x, call(beside, code)], -1)
        if self.gblock:
            x = call(f"gblock_{identity}" if self.split_gblock else "gblock",
                     [x, call("fc_gblock", code)])
        return call(f"decoder_{identity}" if self.split_decoders else "decoder", x)

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> the code, or what the bottleneck of each person gets."""
        face = x = keras.Input((self.size, self.size, 3))
        filters = [min(self.encoder_min * 2 ** number, self.encoder_max)
                   for number in range(self.encoder_depth + 1)]
        if self.encoder_kind != "fs_original":
            x = applied(self.encoder_kind, face, self.encoder_pretrained)
        elif self.encoder_alternative:
            x = self._bent(layers.Conv2D(filters[0], 1)(x))
            for number in range(self.encoder_depth - 1):
                x = self._bent(layers.Conv2D(filters[number], 3, padding="same")(x))
                x = layers.MaxPooling2D(2)(self._bent(layers.Conv2D(filters[number + 1], 3,
                                                                    padding="same")(x)))
            x = self._bent(layers.Conv2D(filters[-2], 3, padding="same")(x))
            x = self._bent(layers.Conv2D(filters[-1], min(4, x.shape[1]))(x))
        else:
            for count in filters[:-1]:
                x = downscale(x, count)
        return keras.Model(face, self.bottled(x) if self.bottleneck_in_encoder else x)

    def bottled(self, x):
        """(N, H, W, C) -> (N, length), the code."""
        x = evened(x, self.bottleneck_norm)
        if self.bottleneck in ("average", "max"):
            return (layers.GlobalAveragePooling2D if self.bottleneck == "average"
                    else layers.GlobalMaxPooling2D)()(x)
        x = layers.Flatten()(x)
        return layers.Dense(self.bottleneck_size)(x) if self.bottleneck == "dense" else x

    def dense(self, shape: tuple) -> keras.Model:
        """The code -> a grid (N, H, W, C), in the way of one person."""
        code = keras.Input(shape)
        x = code if self.bottleneck_in_encoder else self.bottled(code)
        cells = self.fc_side ** 2
        grid = self.fc_side * 2 ** self.fc_upscales
        # a grid that is cut anew has to come out even
        whole = self.start ** 2 if grid != self.start else 1
        lengths = [max(whole, length // cells // whole * whole) * cells
                   for length in curve(self.fc_min * cells, self.fc_max * cells, self.fc_depth,
                                       self.fc_slope)]
        for length in lengths:
            x = layers.Dense(length)(layers.Dropout(self.fc_dropout)(x) if self.fc_dropout else x)
        x = layers.Reshape((self.fc_side, self.fc_side, -1))(x)
        if self.fc_upscale != "upsample2d":
            for _ in range(self.fc_upscales):
                x = UPSCALES[self.fc_upscale](x, max(whole, self.fc_filters // whole * whole))
        elif self.fc_upscales:
            kind = "nearest" if self.fc_upscales == 1 else "bilinear"
            x = layers.LeakyReLU(0.1)(layers.UpSampling2D(2 ** self.fc_upscales,
                                                          interpolation=kind)(x))
        if grid != self.start:
            x = layers.Reshape((self.start, self.start, -1))(x)
        if self.decoder_in_fc:
            x = self._stages(self._entry(x), self.filters[:self.decoder_in_fc], self.decoder_in_fc)
        return keras.Model(code, x)

    def style(self, shape: tuple) -> keras.Model:
        """The code -> (N, STYLE)."""
        code = keras.Input(shape)
        x = code if self.bottleneck_in_encoder else layers.Flatten()(code)
        for _ in range(self.gblock_depth):
            x = layers.Dense(STYLE)(x)
        return keras.Model(code, x)

    def restyling(self, shape: tuple) -> keras.Model:
        """A grid (N, H, W, C) and the style -> the grid."""
        grid, style = keras.Input(shape), keras.Input((STYLE,))
        s = style
        for number in range(3):
            s = layers.Dense(STYLE, kernel_initializer="he_normal")(s)
            s = layers.LeakyReLU(0.1)(s) if number < 2 else s
        channels = shape[-1]
        x = layers.GaussianNoise(1.0)(layers.Conv2D(channels, 3, padding="same")(grid))
        for number in range(2):
            noise = layers.Conv2D(channels, 1)(layers.GaussianNoise(1.0)(x))
            shift, gain = layers.Dense(channels)(s), layers.Dense(channels)(s)
            if number:
                x = layers.Conv2D(channels, 3, padding="same")(x)
            x = self._bent(layers.Add()([Restyled()([x, gain, shift]), noise]))
        return keras.Model([grid, style], x)

    def decoder(self, shape: tuple) -> keras.Model:
        """A grid (N, H, W, C) -> (N, output, output, 3 or 4) in [0, 1]."""
        code = keras.Input(shape)
        left = self.filters[self.decoder_in_fc:]
        x = self._stages(code if self.decoder_in_fc else self._entry(code), left,
                         len(left) - self.decoder_skip_last)
        mask = plain_mask(code, left, self.decoder_kernel) if self.learn_mask else None
        return keras.Model(code, picture_and_mask(picture(x, 3, self.decoder_kernel), mask))

    def _entry(self, x):
        if self.decoder_upscale == "dny":
            for kernel in (4, 3):
                x = self._bent(layers.Conv2D(self.decoder_max, kernel, padding="same")(x))
        return x

    def _stages(self, x, filters: list[int], residual: int):
        """Stages of so many filters, the first `residual` of them with residual blocks."""
        for number, count in enumerate(filters):
            x = UPSCALES[self.decoder_upscale](x, count)
            x = evened(layers.GaussianNoise(1.0)(x) if self.decoder_noise else x, self.decoder_norm)
            if number < residual and self.decoder_residuals:
                x = self._bent(x)
                for _ in range(self.decoder_residuals):
                    x = leaky_residual(x)
            elif self.decoder_upscale != "dny":
                x = layers.LeakyReLU(0.1)(x)
        return x

    @staticmethod
    def _bent(x):
        return layers.LeakyReLU(0.2)(x)


def curve(first: int, last: int, count: int, slope: float) -> list[int]:
    """So many numbers from `first` to `last`, multiples of 8; they change sooner or later as
    `slope` is below or above 0.
    """
    x = np.linspace(0, 1, count)
    return [int(value // 8 * 8) for value in (x - x * slope) / (slope - 2 * slope * x + 1)
            * (last - first) + first]
