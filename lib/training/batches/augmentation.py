"""How training faces are varied: the strengths of the usual augmentations, and plugins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lib.plugin import AUGMENTATIONS, Augmenter


@dataclass(frozen=True)
class Augmentation:
    """How far training crops are varied: the options of the same names of the command `train`."""

    warp: float = 0.0  # strength of the random warp of the input, 1 = classic
    rotation: float = 0.0  # largest, degrees
    scale: float = 0.0  # largest change, as a share
    shift: float = 0.0  # largest, as a share of the crop's side
    flip: bool = False  # mirror half of the faces
    color: float = 0.0  # strength of random brightness, contrast and tint
    light: float = 0.0  # strength of a random light from one side
    blur: float = 0.0  # largest random blur of the input, sigma as a share of the crop's side
    paint_hair: bool = False  # paint skin over hair that hangs over B's brow and temples
    retarget: float = 0.0  # share of the faces bent to pose and expression of the other identity
    crossed: float = 0.0  # share of these whose input is that face of the other identity itself
    unwarped: int = 0  # every N-th batch repeats the one before it, unwarped; 0: never
    extra: tuple[Augmenter, ...] = ()  # further plugins; one of the usual names replaces that

    @cached_property
    def augmenters(self) -> dict[str, Augmenter]:
        """Plugins by name, in the order in which they change a picture; also those of strength 0.
        """
        strengths = {"light": self.light, "color": self.color, "warp": self.warp,
                     "blur": self.blur}
        plugins = {name: AUGMENTATIONS.create(name, strength=strength)
                   for name, strength in strengths.items()}
        plugins |= {AUGMENTATIONS.name_of(plugin): plugin for plugin in self.extra}
        return dict(sorted(plugins.items(), key=lambda item: (item[1].order, item[0])))


NONE = Augmentation()
CLASSIC = Augmentation(warp=1.0, rotation=10.0, scale=0.05, shift=0.05, flip=True)
