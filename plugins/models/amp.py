"""DeepFaceLab's AMP, which can stop half way."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from lib.nn.saehd import Blocks, Mixed, RootMeanSquare
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.saehd import Saehd


@MODELS.register
@dataclass
class Amp(Saehd):
    """DeepFaceLab's AMP, 64 to 640 pixels: faces between A and B, chosen by convert --morph.

    Learns the mask too.
    """

    size: int = option(224, "Side of the face, pixels.", low=64, high=640, step=32)
    code: int = option(256, "Length of the code.", low=32, high=1024)
    inter: int = option(1024, "Channels that a face is spread over, some of them A's and some B's.",
                        low=32, high=2048)
    encoder_width: int = option(64, "Filters of the encoder's first stage.", low=16, high=256,
                                step=2)
    decoder_width: int = option(64, "Half the filters of the decoder's last stage.", low=16,
                                high=256, step=2)
    mask_width: int = option(22, "Half the filters of the mask's last stage: about a third of the "
                             "decoder's.", low=16, high=256, step=2)
    morph_factor: float = option(0.5, "Share of the channels that are B's own while B's faces are "
                                 "learnt.", low=0.1, high=0.5)
    coverage: str = option("whole", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    eyes_first = True
    morph = 0.75  # share of B's own channels in a swap

    def networks(self) -> dict[str, keras.Model]:
        return {"encoder": self.encoder(), "inter_a": self.inter_of_one(),
                "inter_b": self.inter_of_one(), "decoder": self.decoder()}

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> (N, code)."""
        face = keras.Input((self.size, self.size, 3))
        x = RootMeanSquare()(Blocks().encoded(face, self.encoder_width, deep=True))
        return keras.Model(face, layers.Dense(self.code)(x))

    def inter_of_one(self) -> keras.Model:
        """(N, code) -> (N, S / 32, S / 32, inter)."""
        code, side = keras.Input((self.code,)), self.size // 32
        return keras.Model(code, layers.Reshape((side, side,
                                                 self.inter))(layers.Dense(side * side
                                                                           * self.inter)(code)))

    def decoder(self) -> keras.Model:
        """B's channels and A's, each (N, S / 32, S / 32, inter) -> (N, S, S, 4) in [0, 1]."""
        ways = [keras.Input((self.size // 32, self.size // 32, self.inter)) for _ in range(2)]
        code = Mixed(self.morph_factor, self.morph)(ways)
        return keras.Model(ways, Blocks().drawn(code, self.decoder_width, self.mask_width,
                                                deep=True, doubled=True))

    def decode(self, networks, code, identity, training=False):
        a = networks["inter_a"](code, training=training)
        b = networks["inter_b"](code, training=training) if identity == "b" else a
        return networks["decoder"]([b, a], training=training)
