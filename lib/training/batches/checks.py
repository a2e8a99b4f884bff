"""Problems of a set of faces, reported before an hour of training is spent on it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lib.faces import traits
from lib.faces.geometry import scale_of
from lib.facesets.face_file import FaceFile, crop_landmarks
from lib.sampling import evenly
from lib.training.batches.balance import poses

# The bounds leave nine talking heads alone, whose medians were: alike 0.7 to 4.9, blur 0.44 to
# 0.59, scale 0.5 to 1; yaw spanned 6 to 41. levels of 255 by which two pictures differ that show
# the same; share of such faces
ALIKE, MANY = 0.3, 0.3
BLURRED = 0.66  # median of `traits.blur`
ENLARGED = 2.0  # median of crop pixels that a pixel of the frame became
SPAN = 5.0  # degrees of yaw and of pitch within which nine of ten faces stand

# faces that are compared, so many in a row, at so many pixels a side
LOOKED_AT, RUN, THUMBNAIL = 2000, 50, 16
MEASURED = 40  # faces whose sharpness is measured


def complaints(name: str, files: Sequence[FaceFile]) -> list[str]:
    """A sentence for each reason why training on `files`, the faces of the set `name`, will not go
    well; none if it will.
    """
    if not files:
        return []
    return [complaint for check in (_alike, _blurred, _enlarged, _still)
            if (complaint := check(name, files))]


def _alike(name: str, files: Sequence[FaceFile]) -> str | None:
    count = len(files)
    if count > LOOKED_AT:  # neighbours in time are those that may be alike, so they stay together
        files = [files[first + place] for first in evenly(range(count - RUN + 1), LOOKED_AT // RUN)
                 for place in range(RUN)]
    small = np.stack([cv2.resize(file.image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
                      for file in files])
    # around 0 the products below stay exact
    gray = small.reshape(len(files), -1, 3).mean(-1, dtype=np.float32) - 128
    squares = (gray ** 2).sum(1)
    apart = squares[:, None] + squares - 2 * gray @ gray.T
    earlier = np.tril(apart < ALIKE ** 2 * gray.shape[1], -1).any(1)
    if earlier.mean() <= MANY:
        return None
    return (f"{earlier.mean():.0%} of the {count} faces of {name} look the same as others of them: "
            "take fewer frames (extract -N), or add footage in which this person moves.")


def _blurred(name: str, files: Sequence[FaceFile]) -> str | None:
    blur = float(np.median([traits.blur(file.aligned) for file in evenly(files, MEASURED)]))
    if not blur > BLURRED:
        return None
    return (f"The faces of {name} are blurred ({blur:.2f} from 0, sharp, to 1), and the swap will "
            "be so too: delete the worst (sort --by blur shows them last), or take sharper "
            "footage.")


def _enlarged(name: str, files: Sequence[FaceFile]) -> str | None:
    scale = float(np.median([scale_of(file.aligned.matrix) for file in files]))
    if scale <= ENLARGED:
        return None
    size = int(np.median([file.size for file in files]))
    return (f"The faces of {name} are small: their crops of {size} pixels were enlarged from "
            f"{size / scale:.0f} pixels of the frame; take footage in which the face is larger, "
            "or a model of fewer pixels.")


def _still(name: str, files: Sequence[FaceFile]) -> str | None:
    yaw, pitch = np.ptp(np.percentile(poses(crop_landmarks(files)), (5, 95), axis=0), axis=0)
    if max(yaw, pitch) >= SPAN:
        return None
    return (f"The head hardly turns in the faces of {name} ({yaw:.0f} degrees from side to side "
            f"and {pitch:.0f} up and down): the swap will fail wherever the other person turns "
            "further, so add footage of other poses.")
