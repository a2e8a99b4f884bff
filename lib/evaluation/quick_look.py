"""What to expect of two people before anything is trained: a sheet made of B's pictures alone, and what speaks against the footage."""

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
from lib.sampling import evenly
from lib.swapping.composite import Compositor
from lib.swapping.exemplars import bank as banks
from lib.swapping.exemplars import loading
from lib.swapping.exemplars.bank import Exemplars
from lib.swapping.exemplars.choice import costs
from lib.swapping.exemplars.stage import Drawer, Separate
from lib.swapping.pipeline import Role, swap_frames
from lib.system.logs import counted
from lib.types import Frame

SHOWN, TILE = 8, 256  # faces of A on the sheet; side of each, pixels
ASKED = 100  # faces of A that are compared with B's pictures
POSE_FAR, MOUTH_FAR = 8e-4, 15e-4  # costs from which on no picture of B suits a head, or a mouth
MANY = 0.15  # share of A's faces that is worth a word
SIDE_LIGHT = 12.0  # L*: by which one half of B's face is lighter than the other than it is of A's
HAIR = 0.05  # share of B's face under hair
SMALL = 80  # pixels across B's face in the frame
FEW = 60  # pictures of B


class NoNetwork:
    """In the place of a trained model: it draws nothing."""

    size, drawn, coverage = 128, 256, "full"

    def __call__(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, S, S, 3) float32 RGB in [0, 1] -> the same, twice as large, and masks (N, 2 S, 2 S, 1) of ones."""
        larger = np.stack([cv2.resize(face, (self.drawn, self.drawn), interpolation=cv2.INTER_CUBIC) for face in faces])
        return larger, np.ones((*larger.shape[:3], 1), np.float32)


@dataclass(frozen=True)
class Outlook:
    """What was found."""

    sheet: np.ndarray  # (H, W, 3) uint8 RGB: faces of A, and below each what B's pictures alone make of it
    faults: list[str]  # what speaks against the footage, in sentences, the most pressing first

    @property
    def verdict(self) -> str:
        return "The footage fits: light, poses and expressions of B are near those of A." if not self.faults else \
            "Expect faults: choose other footage of B if you can."


def look_ahead(faces_a: Sequence[FaceFile], faces_b: Sequence[FaceFile], compositor: Compositor) -> Outlook:
    """Of faces of A and B as extract wrote them, in the order of time. `compositor` sets faces into pictures."""
    network = NoNetwork()
    ready = loading.prepared({"a": banks.make(faces_a, False), "b": banks.make(faces_b, True)}, network)
    drawer = Drawer(ready["b"], ready["a"].person, None)
    chosen = evenly(faces_a, SHOWN)
    frames = [(Frame(number, file.image), [in_crop(file.aligned)]) for number, file in enumerate(chosen)]
    role = Role(network, replace(compositor, coverage=network.coverage), exemplars=Separate(drawer))
    swapped = [done.frame.with_patches(done.patches) for done in swap_frames(frames, [role])]
    rows = [np.hstack([cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA) for picture in row])
            for row in ([file.image for file in chosen], swapped)]
    return Outlook(np.vstack(rows), _faults(faces_a, faces_b, ready["a"], ready["b"]))


def _faults(faces_a: Sequence[FaceFile], faces_b: Sequence[FaceFile], a: Exemplars, b: Exemplars) -> list[str]:
    some = a.features.at(evenly(range(len(a)), ASKED))
    found = costs(some, a.person, b.features, b.person, b.extra)
    far, mouths = (float((cost.min(1) > limit).mean()) for cost, limit in ((found.skin, POSE_FAR), (found.mouth, MOUTH_FAR)))
    faults = []
    if far > MANY:
        faults.append(f"Too few poses: for {far:.0%} of A's faces B was never filmed with the head turned like that.")
    if mouths > MANY:
        faults.append(f"Too few expressions: for {mouths:.0%} of A's faces B never made such a mouth.")
    light_a, light_b = (np.median([light_of(file.image, file.landmarks) for file in evenly(files, ASKED)], 0)
                        for files in (faces_a, faces_b))
    if abs(light_b[1] - light_a[1]) > SIDE_LIGHT:
        faults.append(f"Wrong light: B is lit from the {'right' if light_b[1] > light_a[1] else 'left'} of the picture compared with A.")
    under = float(np.mean([_under_hair(b, index) for index in evenly(range(len(b)), 24)]))
    if under > HAIR:
        faults.append(f"Hair in the way: it covers {under:.0%} of B's face, and is retouched to skin.")
    for name, files in (("A", faces_a), ("B", faces_b)):
        if np.median([glasses.bridge(file.image, file.landmarks) for file in evenly(files, 24)]) > glasses.WORN:
            faults.append("A wears glasses: what lies on the face is replaced with it, and the arms beside it stay." if name == "A" else
                          "B wears glasses, which are brought along.")
    width = float(np.median([traits.width(file.aligned.face) for file in evenly(faces_b, ASKED)]))
    if width < SMALL:
        faults.append(f"B is small: the face is {width:.0f} pixels wide, so that there is little detail to take.")
    if len(faces_b) < FEW:
        faults.append(f"There {'is' if len(faces_b) == 1 else 'are'} only {counted(len(faces_b), 'face')} of B.")
    return faults


def _under_hair(exemplars: Exemplars, index: int) -> float:
    """Share of a face that lies under hair."""
    picture, points = exemplars.crop(index)
    outline = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(outline, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return float((removal.hair_over_face(picture, points) * outline).sum() / max(int(outline.sum()), 1))

