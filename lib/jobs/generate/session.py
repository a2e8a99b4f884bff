"""What all results of one run share: the generator, the output, plugins and the training set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lib.errors import FaceswapError
from lib.generating.faces import Tools, embed_all, read_training_faces
from lib.generating.generator import Generator
from lib.generating.output import Output
from lib.jobs.generate.settings import GenerateSettings
from lib.types import AlignedFace

if TYPE_CHECKING:
    from lib.provenance.marking import Mark


class Session:
    """One run of generate."""

    def __init__(self, settings: GenerateSettings, generator: Generator, seeds: Sequence[int],
                 output: Output, generated_mark: Mark | None, mixed_mark: Mark | None):
        """`generated_mark` is for pictures of generated faces alone, `mixed_mark` for those that
        show real faces too; None where nothing is marked."""
        self.settings, self.generator, self.seeds, self.output = settings, generator, seeds, output
        self.generated_mark, self._mixed_mark = generated_mark, mixed_mark

    @cached_property
    def tools(self) -> Tools:
        """The plugins, made when they are first needed."""
        detector = self.settings.create("detector").resolve(None)
        return Tools(detector, self.settings.create("aligner"), self.settings.create("recognizer"))

    @cached_property
    def training_faces(self) -> list[AlignedFace]:
        """The faces to compare with. Raises FaceswapError where it is not known which these are."""
        folders = self.settings.against or self.generator.faces
        if not folders:
            raise FaceswapError(f"{self.generator.name} does not say what it was trained on. Name "
                                "those faces with --against FOLDER.")
        return read_training_faces(folders)

    @cached_property
    def training_embeddings(self) -> np.ndarray:
        """(N, D) of `training_faces`."""
        return embed_all(self.training_faces, self.tools.recognizer, "embed training faces")

    def styles(self, seeds: Sequence[int]) -> np.ndarray:
        """(N, L, latent): the truncated styles of the faces of these seeds."""
        return self.generator.styles(self.generator.of_seeds(seeds, self.settings.truncation))

    def write(self, name: str, image: np.ndarray, with_real_faces: bool = False) -> None:
        """Writes `image` (H, W, 3) uint8 RGB, marked as synthetic."""
        mark = self._mixed_mark if with_real_faces else self.generated_mark
        self.output.picture(name, image, mark)

    @property
    def mark_problems(self) -> list[str]:
        """What could not be marked, a sentence each."""
        marks = self.generated_mark, self._mixed_mark
        return [problem for mark in marks if mark for problem in mark.problems]
