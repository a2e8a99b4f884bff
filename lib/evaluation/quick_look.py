"""What to expect before anything is trained: a sheet made of B's pictures alone, and problems of
the footage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lib.evaluation.held_out import in_crop
from lib.evaluation.sets import light_of
from lib.faces import glasses, traits
from lib.faces.hair import removal
from lib.facesets.face_file import FaceFile
from lib.media.pictures.contact_sheet import grid, resized
from lib.sampling import evenly
from lib.swapping.composite import Compositor
from lib.swapping.exemplars import bank as banks
from lib.swapping.exemplars import loading
from lib.swapping.exemplars.bank import Exemplars
from lib.swapping.exemplars.choice import measure_costs
from lib.swapping.exemplars.stage import Drawer, Separate
from lib.swapping.pipeline import Role, swap_frames
from lib.system.logs import counted
from lib.types import Frame

SHOWN, TILE = 8, 256  # faces of A on the sheet; side of each, pixels
SAMPLE = 100  # faces that are compared or measured
POSE_FAR, MOUTH_FAR = 8e-4, 15e-4  # costs from which on no picture of B fits a head, or a mouth
MANY = 0.15  # share of A's faces from which on a problem is reported
SIDE_LIGHT = 12.0  # L*: difference in the lightness of the face's halves, between B and A
HAIR = 0.05  # share of B's face under hair
SMALL = 80  # pixels across B's face in the frame
FEW = 60  # pictures of B
FEWER = 24  # faces that slow measures take


class NoNetwork:
    """Takes the place of a trained model: it gives the face back."""

    size, drawn, coverage = 128, 256, "full"

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> the same, twice as large, and masks (N, 2 S, 2 S,
        1) of ones."""
        larger = np.stack([cv2.resize(face, (self.drawn, self.drawn), interpolation=cv2.INTER_CUBIC)
                           for face in faces])
        return larger, np.ones((*larger.shape[:3], 1), np.float32)


@dataclass(frozen=True)
class Outlook:
    """What to expect of a swap."""

    sheet: np.ndarray  # (H, W, 3) uint8 RGB: faces of A, below each what B's pictures alone give
    faults: list[str]  # problems of the footage, in sentences, the most pressing first

    @property
    def verdict(self) -> str:
        """Whether the footage fits, in a sentence."""
        return ("Expect faults: choose other footage of B if you can." if self.faults else
                "The footage fits: light, poses and expressions of B are near those of A.")


def look_ahead(faces_a: Sequence[FaceFile], faces_b: Sequence[FaceFile],
               compositor: Compositor) -> Outlook:
    """The outlook of faces of A and B as extract wrote them, in the order of time; `compositor`
    sets faces into pictures."""
    network = NoNetwork()
    ready = loading.prepare({"a": banks.make(faces_a, False), "b": banks.make(faces_b, True)},
                             network)
    drawer = Drawer(ready["b"], ready["a"].person, None)
    chosen = evenly(faces_a, SHOWN)
    frames = [(Frame(number, file.image), [in_crop(file.aligned)])
              for number, file in enumerate(chosen)]
    role = Role(network, replace(compositor, coverage=network.coverage), exemplars=Separate(drawer))
    swapped = [finished.frame.with_patches(finished.patches)
               for finished in swap_frames(frames, [role])]
    pictures = [resized(picture, TILE) for picture in [file.image for file in chosen] + swapped]
    return Outlook(grid(pictures, len(chosen)), _faults(faces_a, faces_b, ready["a"], ready["b"]))


def _faults(faces_a: Sequence[FaceFile], faces_b: Sequence[FaceFile], a: Exemplars,
            b: Exemplars) -> list[str]:
    sample = a.features.at(evenly(range(len(a)), SAMPLE))
    fits = measure_costs(sample, a.person, b.features, b.person, b.extra)
    poses = float((fits.skin.min(1) > POSE_FAR).mean())
    mouths = float((fits.mouth.min(1) > MOUTH_FAR).mean())
    faults = []
    if poses > MANY:
        faults.append(f"Too few poses: for {poses:.0%} of A's faces, no picture of B has the head "
                      "turned that way.")
    if mouths > MANY:
        faults.append(f"Too few expressions: for {mouths:.0%} of A's faces, no picture of B has "
                      "such a mouth.")
    light_a, light_b = (np.median([light_of(file.image, file.landmarks)
                                   for file in evenly(files, SAMPLE)], 0)
                        for files in (faces_a, faces_b))
    if abs(light_b[1] - light_a[1]) > SIDE_LIGHT:
        faults.append("Wrong light: B is lit from the "
                      f"{'right' if light_b[1] > light_a[1] else 'left'} of the picture compared "
                      "with A.")
    hair = float(np.mean([_hair_share(b, index) for index in evenly(range(len(b)), FEWER)]))
    if hair > HAIR:
        faults.append(f"Hair in the way: it covers {hair:.0%} of B's face, and is retouched to "
                      "skin.")
    for name, files in (("A", faces_a), ("B", faces_b)):
        if np.median([glasses.bridge(file.image, file.landmarks)
                      for file in evenly(files, FEWER)]) > glasses.WORN:
            faults.append("A wears glasses: they are replaced where they lie on the face, and "
                          "their arms stay." if name == "A" else
                          "B wears glasses, which become part of the swap.")
    width = float(np.median([traits.width(file.aligned.face) for file in evenly(faces_b, SAMPLE)]))
    if width < SMALL:
        faults.append(f"B is small: the face is {width:.0f} pixels wide, so there is little detail "
                      "to use.")
    if len(faces_b) < FEW:
        faults.append(f"There {'is' if len(faces_b) == 1 else 'are'} only "
                      f"{counted(len(faces_b), 'face')} of B.")
    return faults


def _hair_share(exemplars: Exemplars, index: int) -> float:
    """Share of a face that lies under hair."""
    picture, points = exemplars.crop(index)
    outline = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(outline, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return float((removal.hair_over_face(picture, points) * outline).sum()
                 / max(int(outline.sum()), 1))

