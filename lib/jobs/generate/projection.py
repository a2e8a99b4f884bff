"""The face in a photo, as near as the generator comes to it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.errors import FaceswapError
from lib.faces.geometry import crop
from lib.faces.likeness import likeness
from lib.facesets.face_file import read_face
from lib.facesets.folder import is_face_folder, list_faces
from lib.facesets.references import reference_faces
from lib.generating.faces import find_face
from lib.jobs.generate.session import Session
from lib.media.pictures import picture_file
from lib.media.pictures.contact_sheet import table
from lib.types import AlignedFace, Face

logger = logging.getLogger(__name__)
STEPS = 500


class ProjectedFace(NamedTuple):
    """How near the generator comes to a photo's face."""

    styles: np.ndarray  # (L, latent) float32
    error: float  # mean absolute difference of pixels, 8-bit levels
    perceptual: float  # distance of features: 0 the same, 2 opposite
    likeness: float | None  # of both faces; None where in one of them no face is found
    same: float  # likeness from which on the recognizer takes two faces for one person's
    photo_has_face: bool


def project_photo(session: Session) -> ProjectedFace:
    """Writes the generated face that is most like that in the photo of --project, both side by
    side, and its styles. Raises FaceswapError where the photo shows no face."""
    from lib.generating.projection import project  # imports Keras, which takes seconds

    photo_path = session.settings.project
    session.output.claim("projected.png", "projection.png", "projection.npz")
    photo, aligned = _photo_crop(session, photo_path)
    projection = project(session.generator, photo, session.settings.steps or STEPS)
    alike = None if aligned is None else _likeness(session, aligned, projection.picture)
    session.write("projected.png", projection.picture)
    captions = [photo_path.name, f"error {projection.error:.1f} of 255"]
    session.write("projection.png", table([[photo, projection.picture]], [captions]),
                  with_real_faces=True)
    np.savez(session.output.path("projection.npz"), styles=projection.styles)
    session.output.note("projection.npz")
    return ProjectedFace(projection.styles, projection.error, projection.perceptual, alike,
                         session.tools.recognizer.same, aligned is not None)


def _photo_crop(session: Session, path: Path) -> tuple[np.ndarray, AlignedFace | None]:
    """The crop (S, S, 3) uint8 RGB that the generator would draw of a photo's largest face, and
    that face; a picture of the generator's size as it is, and the face in it, if any."""
    generator, tools = session.generator, session.tools
    if is_face_folder(path.parent) and path in list_faces(path.parent):
        file = read_face(path)
        face = Face(file.aligned.face.detection, file.landmarks.astype(np.float32))
        aligned = crop(file.image, face, generator.size, generator.coverage)
        return aligned.image, aligned
    image = picture_file.read(path)
    if image.shape[:2] == (generator.size, generator.size):
        logger.info("%s is %d pixels a side, as the model's pictures are: used as it is.", path,
                    generator.size)
        face = find_face(image, tools)
        return image, crop(image, face, generator.size, generator.coverage) if face else None
    largest = next(reference_faces(path, tools.detector, tools.aligner), None)
    if largest is None:
        raise FaceswapError(f"No face found in {path}. Choose another photo, or another "
                            "-D/--detector.")
    aligned = crop(image, largest.aligned.face, generator.size, generator.coverage)
    return aligned.image, aligned


def _likeness(session: Session, aligned: AlignedFace, picture: np.ndarray) -> float | None:
    """Likeness of a face to that in a generated picture; None where none is found in it."""
    face = find_face(picture, session.tools)
    if face is None:
        return None
    recognizer, generator = session.tools.recognizer, session.generator
    generated = crop(picture, face, generator.size, generator.coverage)
    embeddings = recognizer.embed([aligned, generated])
    return float(likeness(embeddings[:1], embeddings[1:], recognizer)[0, 0])
