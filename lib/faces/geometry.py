"""Where a face stands in its crop: mean face, similarity transform, crops and the way back.

Landmarks are 68 points in 300-W order, (x, y), in pixels; integer coordinates are pixel centres.

A crop is the frame seen through one matrix: `crop_matrix` = `template_matrix` (from the unit square
of the mean face to the crop's pixels) @ `similarity_transform` (from the frame onto the mean face).
Two functions cut it out: `crop` from a picture that lies in memory, `crop_frame` from a frame of
which only the part around the face is decoded or converted; convert asks it for a multiple of the
network's size (`crop_face` in `lib/swapping`). Face pictures are cropped from one another by
`FaceFile.recrop`, since both stand on the template.
"""

from __future__ import annotations

import cv2
import numpy as np

from lib.types import AlignedFace, Face, Frame, Samples

# The widely published mean of the inner 51 points (17 to 67) of frontal 300-W faces, scaled so
# that they fill the unit square; the deepfakes tools and the .dfm exchange format align to the
# same points.
MEAN_FACE = np.array([
    # Brows
    (0.000213256, 0.106454), (0.0752622, 0.038915), (0.18113, 0.0187482), (0.29077, 0.0344891),
    (0.393397, 0.0773906), (0.586856, 0.0773906), (0.689483, 0.0344891), (0.799124, 0.0187482),
    (0.904991, 0.038915), (0.98004, 0.106454),
    # Nose
    (0.490127, 0.203352), (0.490127, 0.307009), (0.490127, 0.409805), (0.490127, 0.515625),
    (0.36688, 0.587326), (0.426036, 0.609345), (0.490127, 0.628106), (0.554217, 0.609345),
    (0.613373, 0.587326),
    # Eyes
    (0.121737, 0.216423), (0.187122, 0.178758), (0.265825, 0.179852), (0.334606, 0.231733),
    (0.260918, 0.245099), (0.182743, 0.244077), (0.645647, 0.231733), (0.714428, 0.179852),
    (0.793132, 0.178758), (0.858516, 0.216423), (0.79751, 0.244077), (0.719335, 0.245099),
    # Mouth
    (0.254149, 0.780233), (0.340985, 0.745405), (0.428858, 0.727388), (0.490127, 0.742578),
    (0.551395, 0.727388), (0.639268, 0.745405), (0.726104, 0.780233), (0.642159, 0.864805),
    (0.556721, 0.902192), (0.490127, 0.909281), (0.423532, 0.902192), (0.338094, 0.864805),
    (0.290379, 0.784792), (0.428096, 0.778746), (0.490127, 0.785343), (0.552157, 0.778746),
    (0.689874, 0.784792), (0.553364, 0.824182), (0.490127, 0.831803), (0.42689, 0.824182)])
INNER, RIGHT_EYE, LEFT_EYE = slice(17, 68), slice(36, 42), slice(42, 48)
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)

# Side of the crop in unit squares of the mean face, and how far its centre moves up, in unit
# squares
COVERAGES = {"half": (1.0, 0.0), "full": (1.6, 0.0), "whole": (2.13, 0.07), "head": (2.98, 0.0)}
DEFAULT_COVERAGE = "whole"
DEFAULT_SIZE = 256
# By which shares of its side two crops of one face differ at most, with landmarks of three decimals
SAME_CROP, SAME_SIZE = 0.004, 0.002


def _mirrored() -> np.ndarray:
    """Index of each of the 68 points in a mirrored face."""
    order = np.arange(68)
    for first, last in ((0, 16), (17, 26), (31, 35), (48, 54), (55, 59), (60, 64), (65, 67)):
        order[first:last + 1] = order[first:last + 1][::-1]
    for right, left, count in ((36, 42, 4), (40, 46, 2)):  # upper and lower lids of both eyes
        order[right:right + count] = np.arange(left + count - 1, left - 1, -1)
        order[left:left + count] = np.arange(right + count - 1, right - 1, -1)
    return order


MIRRORED = _mirrored()


def similarity_transform(points: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Least-squares rotation, uniform scale and shift that carry `points` onto `template`.

    `points` (..., K, 2) and `template` (K, 2) are x, y. Returns (..., 2, 3) float64. Raises
    ValueError if all points of a set coincide.
    "Least-squares estimation of transformation parameters between two point patterns", TPAMI, 1991:
    in the plane, without its singular value decomposition, since rotation and scale are one complex
    number.
    """
    points, template = np.asarray(points, np.float64), np.asarray(template, np.float64)
    from_mean, to_mean = points.mean(-2), template.mean(-2)
    x, y = np.moveaxis(points - from_mean[..., None, :], -1, 0)
    u, v = np.moveaxis(template - to_mean, -1, 0)
    squares = (x ** 2 + y ** 2).sum(-1)
    if (squares < 1e-12 * points.shape[-2]).any():
        raise ValueError("the points coincide")
    along, across = (x * u + y * v).sum(-1) / squares, (x * v - y * u).sum(-1) / squares
    linear = np.stack([np.stack([along, -across], -1), np.stack([across, along], -1)], -2)
    shift = to_mean - (linear @ from_mean[..., None])[..., 0]
    return np.concatenate([linear, shift[..., None]], -1)


def template_matrix(size: int, coverage: str = DEFAULT_COVERAGE) -> np.ndarray:
    """(2, 3) float64 from the unit square of the mean face to the pixels of a `size` x `size` crop.

    The crop's area spans -0.5 to size - 0.5, since integer coordinates are pixel centres.
    """
    side, up = COVERAGES[coverage]
    scale = size / side
    return np.array([[scale, 0, size / 2 - 0.5 - 0.5 * scale],
                     [0, scale, size / 2 - 0.5 - (0.5 - up) * scale]])


def crop_matrix(landmarks: np.ndarray, size: int, coverage: str = DEFAULT_COVERAGE) -> np.ndarray:
    """(2, 3) float64 from frame pixels to the pixels of a `size` x `size` crop; `landmarks` (68,
    2).
    """
    onto_mean_face = similarity_transform(landmarks[INNER], MEAN_FACE)
    return template_matrix(size, coverage) @ np.vstack([onto_mean_face, [0, 0, 1]])


def resized_matrix(matrix: np.ndarray, landmarks: np.ndarray, size: int,
                   coverage: str) -> np.ndarray:
    """The matrix of crops that have another size now than when they were cut out.

    `matrix` (..., 2, 3) is the one with which crops by `landmarks` (..., 68, 2) were cut out; the
    size that they had follows from it, the one they have is `size`. A matrix that belongs to no
    crop by these landmarks stays as it is.
    """
    # What the matrix would be at this size, and so the size that the crop had
    template = template_matrix(size, coverage)
    expected = template[:, :2] @ similarity_transform(landmarks[..., INNER, :], MEAN_FACE)
    expected[..., 2] += template[:, 2]
    ratio = np.sqrt(np.abs(np.linalg.det(matrix[..., :2]) / np.linalg.det(expected[..., :2])))
    old_size = np.rint(size * ratio)[..., None, None]
    is_resized = np.abs(old_size - size) > SAME_SIZE * size + 0.5

    # The matrix for this size, taken where its corners lie where they are expected
    factor = size / np.where(is_resized & (old_size >= 1), old_size, size)
    resized = matrix * factor
    resized[..., 2] += (factor[..., 0] - 1) / 2
    last_rows = np.broadcast_to([0, 0, 1.0], (*expected.shape[:-2], 1, 3))
    back = np.linalg.inv(np.concatenate([expected, last_rows], -2))[..., :2, :]
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)], np.float64)
    moved = transform_points(transform_points(corners, back), resized)
    distance = np.abs(moved - corners).max((-1, -2))[..., None, None]
    return np.where(is_resized & (distance < SAME_CROP * size), resized, matrix)


def crop(image: np.ndarray, face: Face, size: int = DEFAULT_SIZE,
         coverage: str = DEFAULT_COVERAGE) -> AlignedFace:
    """The aligned face of `image` (H, W, 3) uint8 RGB; pixels outside the frame repeat its edge."""
    matrix = crop_matrix(face.landmarks, size, coverage)
    return AlignedFace(face, warp(image, matrix, size), matrix, coverage)


def crop_frame(frame: Frame, face: Face, size: int = DEFAULT_SIZE,
               coverage: str = DEFAULT_COVERAGE) -> AlignedFace:
    """What `crop` gives, of a frame of which only the part around the face is decoded or converted
    to RGB.
    """
    matrix = crop_matrix(face.landmarks, size, coverage)
    samples = frame.samples()
    if samples is not None:
        return AlignedFace(face, _warp_samples(samples, matrix, size), matrix, coverage)
    width, height = frame.size
    low, high = _seen_area(matrix, size)
    margin = 4 + round(2 / scale_of(matrix))  # what is interpolated and averaged from
    left, top = np.clip(low - margin, 0, (width - 1, height - 1)).astype(int).tolist()
    right, bottom = np.clip(high + margin, (left + 1, top + 1),
                            (width, height)).astype(int).tolist()
    local = matrix.copy()
    local[:, 2] += local[:, :2] @ (left, top)
    part = frame.part(slice(top, bottom), slice(left, right))
    return AlignedFace(face, warp(part, local, size), matrix, coverage)


def _seen_area(matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(2,) each: the least and greatest x, y in frame pixels that a crop by `matrix` shows."""
    corners = np.array([(-1, -1), (size, -1), (-1, size), (size, size)], np.float64)
    places = transform_points(corners, invert(matrix))
    return np.floor(places.min(0)), np.ceil(places.max(0))


def warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """`image` seen through `matrix` (2, 3), frame -> crop pixels, as a `size` x `size` crop without
    aliasing.

    `cv2.warpAffine` looks at 2 x 2 pixels however much it shrinks. So what shrinks is warped twice
    as large and then averaged; where that is not enough, the frame is first averaged over whole
    blocks of pixels, which is cheaper than warping larger still.
    """
    shrink = 1 / scale_of(matrix)
    if shrink >= 4:
        image, matrix = _reduced(image, matrix, size, int(shrink / 2))
    factor = 2 if shrink > 1.25 else 1
    warped = cv2.warpAffine(image, upsampled(matrix, factor), (size * factor, size * factor),
                            flags=cv2.INTER_CUBIC if shrink < 1 else cv2.INTER_LINEAR,
                            borderMode=cv2.BORDER_REPLICATE)
    return warped if factor == 1 else cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)


def _warp_samples(samples: Samples, matrix: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) uint8 RGB, what `warp` makes of the frame in RGB: far fewer pixels have to be
    converted, and colour is coarse.
    """
    color = np.hstack([matrix[:, :2] * samples.spacing,
                       (matrix[:, 2] + matrix[:, :2] @ samples.first)[:, None]])
    crops = [warp(plane, seen, size) for plane, seen in zip(samples.planes, (matrix, color, color),
                                                            strict=True)]
    rgb = cv2.transform(cv2.merge(crops), samples.rgb)
    return rgb if rgb.dtype == np.uint8 else np.minimum(rgb, 255).astype(np.uint8)


def _reduced(image: np.ndarray, matrix: np.ndarray, size: int,
             block: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of `image` that the crop shows, averaged over `block` x `block` pixels, and the
    matrix from it to the crop.
    """
    height, width = image.shape[:2]
    low, high = _seen_area(matrix, size)
    margin = 2 * block
    left, top = np.clip(low - margin, 0,
                        (max(width - block, 0), max(height - block, 0))).astype(int)
    right, bottom = np.clip(high + margin, (left + block, top + block), (width, height)).astype(int)
    columns, rows = -(-(right - left) // block), -(-(bottom - top) // block)
    part = cv2.copyMakeBorder(image[top:bottom, left:right], 0, rows * block - (bottom - top), 0,
                              columns * block - (right - left), cv2.BORDER_REPLICATE)
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    linear = matrix[:, :2] * block
    shift = matrix[:, 2] + matrix[:, :2] @ (np.array([left, top]) + (block - 1) / 2)
    return small, np.hstack([linear, shift[:, None]])


def upsampled(matrix: np.ndarray, factor: float) -> np.ndarray:
    """`matrix` into a crop whose side is `factor` times as long."""
    larger = matrix * factor
    larger[:, 2] += (factor - 1) / 2
    return larger


def scale_of(matrix: np.ndarray) -> float:
    """How many crop pixels one frame pixel becomes."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def eye_openings(landmarks: np.ndarray) -> np.ndarray:
    """(2,): how far the right and the left eye are open, height by width.

    "Real-Time Eye Blink Detection using Facial Landmarks", CVWW, 2016.
    """
    eyes = np.stack([landmarks[RIGHT_EYE], landmarks[LEFT_EYE]])
    heights = np.linalg.norm(eyes[:, [1, 2]] - eyes[:, [5, 4]], axis=2).mean(1)
    return heights / np.maximum(np.linalg.norm(eyes[:, 0] - eyes[:, 3], axis=1), 1e-6)


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(..., K, 2) points through a (..., 2, 3) matrix."""
    return points @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2]


def invert(matrix: np.ndarray) -> np.ndarray:
    """(2, 3) crop -> frame pixels of a (2, 3) frame -> crop matrix."""
    return cv2.invertAffineTransform(matrix)
