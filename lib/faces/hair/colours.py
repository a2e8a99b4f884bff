"""Hair by its colours: what is unlike the skin of nose and cheeks, and joined to the rim of the
face.

Masks are (h, w) uint8, 1 = inside, in pixels of a `View`; `features` are eyes and brows, which are
no hair.
"""

from __future__ import annotations

import cv2
import numpy as np

from lib.faces.hair.view import NOSE_AND_UPPER_CHEEKS, View, disc

CHEEKS_AND_NOSE = [1, 2, 3, 4, 31, 33, 35, 12, 13, 14, 15, 45, 42, 27, 39, 36]  # landmarks

# Deviations of the colours of nose and cheeks: hair is further away, the skin over a bare brow
# nearer
UNLIKE_SKIN, BARE = 3.0, 2.2
LEAST_DEVIATION = (10, 4, 4)  # of them, in 8-bit Lab
SMOOTHED = 0.6  # sigma in pixels of the view: colours are compared without the grain

# For the graph cut: deviations from which on a pixel is skin for sure, least pixels of skin, rounds
SURELY_SKIN, LEAST_SKIN, ROUNDS = 2.0, 20, 3
SKIN_BLUR = 0.2  # sigma, in distances between the eyes
FAR = 0.75  # distances between the eyes around the face, where hair is learnt

RIM = 0.04  # width of the face's rim, in distances between the eyes
SPECK = np.ones((2, 2), np.uint8)  # pixels of the view; what is thinner is no strand

# Distances between the eyes above them, and to either side, where most foreheads are bare
FOREHEAD = 0.45, 0.3
# Deviations: of a bare forehead; how unlike skin what is joined to hair has to be
LEAST_SPREAD, LIMITS = 0.3, (1.4, 3.0)
LEAST_HEIGHT = 0.1  # distances between the eyes above them

# Levels of lightness: skin is darker than nose and cheeks by less, and has finer structure
DARKER, SMOOTH = 20, 4.0


def skin_distance(view: View, features: np.ndarray) -> np.ndarray:
    """(h, w) float32: how far a place's colour is from those of nose and cheeks, in their
    deviations.
    """
    skin = view.hull_mask(view.points[NOSE_AND_UPPER_CHEEKS]) > features
    if not skin.any():
        return np.zeros(skin.shape, np.float32)
    lab = cv2.cvtColor(cv2.GaussianBlur(view.image, (3, 3), SMOOTHED),
                       cv2.COLOR_RGB2LAB).astype(np.float32)
    usual = np.median(lab[skin], 0)
    deviation = np.maximum(1.48 * np.median(np.abs(lab[skin] - usual), 0),
                           LEAST_DEVIATION).astype(np.float32)
    difference = (lab - usual) / deviation
    return np.sqrt(np.einsum("yxc,yxc->yx", difference, difference))


def bare_skin(view: View, features: np.ndarray) -> np.ndarray:
    """About as light as nose and cheeks, or lighter, and smooth: skin in another light, such as a
    bald forehead.

    Hair is darker, or shows its strands.
    """
    lightness = cv2.cvtColor(view.image, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32)
    strands = cv2.blur(np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), 1)), (3, 3))
    skin = view.hull_mask(view.points[CHEEKS_AND_NOSE]) > features
    if not skin.any():
        return np.zeros(features.shape, np.uint8)
    darker = np.median(lightness[skin]) - lightness
    return ((darker < DARKER) & (strands < SMOOTH)).view(np.uint8)


def cut_out(view: View, features: np.ndarray, distance: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Hair or whatever else is not skin; `features` count as skin, `distance` (h, w) is that from
    skin.

    Skin is learnt from nose and cheeks, hair from what lies around the face: "GrabCut: Interactive
    Foreground Extraction using Iterated Graph Cuts", ACM Transactions on Graphics, 2004.
    """
    cheeks = view.hull_mask(view.points[CHEEKS_AND_NOSE])
    skin = (cheeks > features) & (distance < SURELY_SKIN)
    if skin.sum() < LEAST_SKIN or face.all():
        return np.zeros(face.shape, np.uint8)

    # What is known of each pixel
    known = np.where(face > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    known[cv2.dilate(face, disc(FAR * view.eye_distance)) == 0] = cv2.GC_BGD
    known[(face > features) & (distance > UNLIKE_SKIN)] = cv2.GC_PR_BGD
    known[skin | (features & face > 0)] = cv2.GC_FGD
    if not ((known & 1) == 0).any():
        return np.zeros(face.shape, np.uint8)

    # The cut
    lab = cv2.cvtColor(_without_features(view, features, skin), cv2.COLOR_RGB2LAB)
    cv2.setRNGSeed(0)  # the same picture gives the same answer
    cv2.grabCut(lab, known, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS,
                cv2.GC_INIT_WITH_MASK)
    return 1 - (known & 1)


def _without_features(view: View, features: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 RGB: eyes and brows, whose colours are not to be learnt, filled with the skin
    around them.
    """
    weight = skin.astype(np.float32)
    weighted = cv2.merge([view.image * weight[..., None], weight])
    *colors, near = cv2.split(cv2.GaussianBlur(weighted, (0, 0), SKIN_BLUR * view.eye_distance))
    around = np.dstack([color / (near + 1e-3) for color in colors])
    return np.where((cv2.dilate(features, disc(1)) > 0)[..., None], around,
                    view.image).astype(np.uint8)


def joined_to_rim(view: View, different: np.ndarray, features: np.ndarray,
                  face: np.ndarray) -> np.ndarray:
    """What of `different`, unlike skin, lies within `face` and is joined to its rim, but none of
    its `features`.
    """
    inside = cv2.morphologyEx(different & face & (1 - features), cv2.MORPH_OPEN, SPECK)
    rim = face - cv2.erode(face, disc(RIM * view.eye_distance))
    return _joined(inside, rim & inside)


def grown(view: View, hair: np.ndarray, distance: np.ndarray, face: np.ndarray,
          features: np.ndarray) -> np.ndarray:
    """`hair` and what is joined to it above the eyes and less like skin than the bare forehead is.

    Strands of a light lock are but a little unlike skin. `distance` (h, w) is that from skin.
    """
    if not hair.any():
        return hair

    # A bare forehead, and so how unlike skin hair has to be
    up, (eye_x, eye_y) = view.upwards, view.eyes
    y, x = np.indices(face.shape, np.float32)
    height = ((x - eye_x) * up[0] + (y - eye_y) * up[1]) / view.eye_distance
    aside = np.abs((x - eye_x) * up[1] - (y - eye_y) * up[0]) / view.eye_distance
    bare = (face > hair) & (features == 0) & (height > FOREHEAD[0]) & (aside < FOREHEAD[1])
    if bare.sum() < LEAST_SKIN:
        return hair
    usual = float(np.median(distance[bare]))
    spread = max(1.48 * float(np.median(np.abs(distance[bare] - usual))), LEAST_SPREAD)
    limit = float(np.clip(usual + 3 * spread, *LIMITS))

    likely = ((distance > limit) & (height > LEAST_HEIGHT)).view(np.uint8)
    return _joined(likely & face & (1 - features) | hair, hair)


def _joined(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The connected parts of `mask` that hold one of `seeds`."""
    count, parts = cv2.connectedComponents(mask)
    keeps = np.zeros(count, np.uint8)
    keeps[parts[seeds > 0]] = 1
    keeps[0] = 0
    return keeps[parts]
