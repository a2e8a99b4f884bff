"""DeepFaceLab's SAEHD."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import keras
from keras import ops

from lib.errors import UsageError
from lib.nn.blocks import dense_grid
from lib.nn.saehd import Blocks, RootMeanSquare, code_discriminator
from lib.options import option
from lib.plugin import MODELS
from lib.training.model.saehd import Saehd, style_losses, true_face_losses


@MODELS.register
@dataclass
class Sae(Saehd):
    """DeepFaceLab's SAEHD, 64 to 640 pixels: much detail on a graphics card.

    Learns the mask too. df keeps B's likeness, liae copes with faces and light that differ more.
    Letters behind it: u evens the code out, d draws twice as much for the same work, t has more
    depth (from 224 pixels on), c replaces the networks' activations.
    """

    size: int = option(128, "Side of the face, pixels; a multiple of 32 for d and t.", low=64,
                       high=640, step=16)
    architecture: str = option("liae-ud", "df or liae; after a dash any of the letters u, d, t and "
                               "c.")
    code: int = option(256, "Length of the code.", low=32, high=1024)
    encoder_width: int = option(64, "Filters of the encoder's first stage.", low=16, high=256,
                                step=2)
    decoder_width: int = option(64, "Half the filters of the decoder's last stage.", low=16,
                                high=256, step=2)
    mask_width: int = option(22, "Half the filters of the mask's last stage: about a third of the "
                             "decoder's.", low=16, high=256, step=2)
    coverage: str = option("whole", "How much of the head the crop shows.",
                           choices=("half", "full", "whole", "head"))
    face_style: float = option(0.0, "Transfer of colours and light from A's face, percent (face "
                               "style).", low=0.0, high=100.0)
    background_style: float = option(0.0, "Transfer of the surroundings of A's face, percent "
                                     "(background style).", low=0.0, high=100.0)
    true_face: float = option(0.0, "Push A's codes towards B's, for more likeness (df only); 0.01 "
                              "is strong.", low=0.0, high=1.0)
    eyes_first: bool = option(False, "Learn eyes and mouth before all else.")

    def __post_init__(self):
        if not re.fullmatch(r"(df|liae)(-(?!.*(.).*\3)[udtc]+)?", self.architecture):
            raise UsageError("--model.architecture must be df or liae, and behind a dash any of "
                             "the letters u, d, t and c, each once, "
                             f"such as liae-udt, not {self.architecture!r}.")
        kind, _, letters = self.architecture.partition("-")
        self.df, self.even = kind == "df", "u" in letters
        self.doubled, self.deep = "d" in letters, "t" in letters
        self.blocks = Blocks("c" in letters)
        if self.size % 32 and (self.doubled or self.deep):
            raise UsageError(f"--model.size must be a multiple of 32 for {self.architecture}, not "
                             f"{self.size}.")
        if self.true_face and not self.df:
            raise UsageError(f"--model.true-face is for df, not for {self.architecture}: leave it "
                             "out, or choose df.")
        dssim = "dssim" if self.size < 256 else "dssim2"
        self.loss_weights = replace(self.loss_weights, criteria={dssim: 10.0, "mse": 10.0})

    def networks(self) -> dict[str, keras.Model]:
        if not self.df:
            return {"encoder": self.encoder(), "inter_both": self.inter(), "inter_a": self.inter(),
                    "decoder": self.decoder()}
        networks = {"encoder": self.encoder(), "inter": self.inter(), "decoder_a": self.decoder(),
                    "decoder_b": self.decoder()}
        return networks | ({"discriminator": code_discriminator(self.grid * (1 if self.deep else 2),
                                                                self.code)} if self.true_face
                           else {})

    def groups(self) -> dict[str, list[str]]:
        if not self.true_face:
            return super().groups()
        return {"all": ["encoder", "inter", "decoder_a", "decoder_b"],
                "discriminator": ["discriminator"]}

    @property
    def grid(self) -> int:
        """Side of the grid that the code is spread over, cells."""
        return self.size // (32 if self.doubled else 16)

    def encoder(self) -> keras.Model:
        """(N, S, S, 3) RGB in [0, 1] -> (N, 8 encoder_width cells)."""
        face = keras.Input((self.size, self.size, 3))
        x = self.blocks.encoded(face, self.encoder_width, self.deep)
        return keras.Model(face, RootMeanSquare()(x) if self.even else x)

    def inter(self) -> keras.Model:
        """What the encoder leaves -> (N, G, G, code), twice as wide of liae; G is the grid's side,
        twice that without t.
        """
        filters = self.code * (1 if self.df else 2)
        left = keras.Input((8 * self.encoder_width
                            * (self.size // (32 if self.deep else 16)) ** 2,))
        x = dense_grid(left, self.code, self.grid, filters)
        return keras.Model(left, x if self.deep else self.blocks.up(x, filters))

    def decoder(self) -> keras.Model:
        """The code -> (N, S, S, 4) in [0, 1]."""
        side = self.grid * (1 if self.deep else 2)
        code = keras.Input((side, side, self.code * (1 if self.df else 4)))
        return keras.Model(code, self.blocks.drawn(code, self.decoder_width, self.mask_width,
                                                   self.deep, self.doubled))

    def decode(self, networks, code, identity, training=False):
        if self.df:
            return networks[f"decoder_{identity}"](networks["inter"](code, training=training),
                                                   training=training)
        shared = networks["inter_both"](code, training=training)
        own = networks["inter_a"](code, training=training) if identity == "a" else shared
        return networks["decoder"](ops.concatenate([own, shared], -1), training=training)

    def swapper(self, networks, to):
        """As of every model; the mask is where both people's ways have a face. Of whole heads,
        whose outlines differ, it is `to`'s.
        """
        if self.coverage == "head":
            return super().swapper(networks, to)
        face = keras.Input((self.size, self.size, 3))
        code = networks["encoder"](face)
        # without the picture, half of the work
        masks = {name: keras.Model(network.input, network.layers[-1].input[1])
                 for name, network in networks.items() if name.startswith("decoder")}
        swapped, own = self.decode(networks, code, to), self.decode(networks | masks, code,
                                                                    "ba"["ab".index(to)])
        return keras.Model(face, ops.concatenate([swapped[..., :3], swapped[..., 3:] * own], -1),
                           name=f"swapper_{to}")

    def extra_losses(self, networks, codes, drawn, batch):
        losses, side = {group: {} for group in self.groups()}, batch["a"]
        if self.face_style or self.background_style:
            swapped = self.decode(networks, ops.stop_gradient(codes["a"]), "b",
                                  training=True)[..., :3]
            losses["all"] |= style_losses(swapped, drawn["a"][..., :3], side,
                                          self.weight(side.regions), self.face_style,
                                          self.background_style)
        if self.true_face:
            inner = {identity: networks["inter"](code, training=True)
                     for identity, code in codes.items()}
            losses["all"]["true face"], losses["discriminator"]["told"] = true_face_losses(
                networks["discriminator"], inner, self.true_face)
        return losses
