import cv2
import dlib
import numpy as np
import pytest

from lib.dlib.recognition import network_file
from lib.errors import FaceswapError
from lib.faces.geometry import crop
from lib.media.pictures import picture_file
from lib.plugin import ALIGNERS, DETECTORS, RECOGNIZERS, Recognizer
from lib.types import AlignedFace, Face

PERSON = {"dlib_resnet": 0.6}  # the published distance within which two pictures show one person


def person_limit(name: str, recognizer: Recognizer) -> float:
    return PERSON.get(name, recognizer.same_distance)


@pytest.fixture(scope="module", params=RECOGNIZERS.names())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def recognizer(name):
    return RECOGNIZERS.create(name)


@pytest.fixture(scope="module")
def aligner():
    return ALIGNERS.create("dlib68")


def face_of(image: np.ndarray, aligner) -> AlignedFace:
    found = max(DETECTORS.create("hog").detect([image])[0], key=lambda face: face.box[2] - face.box[0])
    return crop(image, Face(found, aligner.align([image], [found.box[None]])[0][0]))


def test_one_person_is_near_and_two_are_far(recognizer, name, aligner, astronaut, hopper):
    darker = (cv2.resize(astronaut, None, fx=1.6, fy=1.6) * 0.7).astype(np.uint8)
    embeddings = recognizer.embed([face_of(image, aligner) for image in (astronaut, darker, hopper, cv2.flip(hopper, 1))])
    assert embeddings.dtype == np.float32 and len(embeddings) == 4
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=-1)
    assert distances[0, 1] < 0.6 * person_limit(name, recognizer) and distances[2, 3] < 0.8 * person_limit(name, recognizer)
    assert distances[:2, 2:].min() > person_limit(name, recognizer)


def test_no_faces_no_embeddings(recognizer):
    assert recognizer.embed([]).shape[0] == 0


def test_aligned_faces_do_as_well_as_the_whole_frame(aligner, astronaut, hopper):
    """dlib's own chip, cut from the frame, and ours, cut from the 256-pixel crop, describe the same face."""
    network = dlib.face_recognition_model_v1(str(network_file()))
    for image in (astronaut, cv2.resize(astronaut, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), hopper):
        face = face_of(image, aligner)
        points = dlib.points([dlib.point(*map(round, point)) for point in face.face.landmarks.tolist()])
        shape = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), points)
        theirs = np.array(network.compute_face_descriptor(dlib.get_face_chip(np.ascontiguousarray(image), shape, 150, 0.25)))
        assert np.linalg.norm(RECOGNIZERS.create("dlib_resnet").embed([face])[0] - theirs) < 0.12


def test_the_network_computes_what_dlib_computes(aligner, astronaut, hopper):
    from plugins.recognizers.dlib_resnet import chip

    network = dlib.face_recognition_model_v1(str(network_file()))
    faces = [face_of(image, aligner) for image in (astronaut, hopper, astronaut[:, ::-1])] * 7
    expected = np.array(network.compute_face_descriptor([chip(face) for face in faces[:3]]))
    np.testing.assert_allclose(RECOGNIZERS.create("dlib_resnet").embed(faces), np.tile(expected, (7, 1)), atol=1e-5)


@pytest.mark.parametrize("change", [lambda data: data[:1_000_000], lambda data: b"", lambda data: data.replace(b"con_4", b"con_9")])
def test_a_damaged_file_is_named(monkeypatch, tmp_path, change):
    from plugins.recognizers import dlib_resnet

    (tmp_path / "broken.dat").write_bytes(change(network_file().read_bytes()))
    monkeypatch.setattr(dlib_resnet, "network_file", lambda: tmp_path / "broken.dat")
    with pytest.raises(FaceswapError, match="broken.dat is damaged"):
        RECOGNIZERS.create("dlib_resnet")


def test_known_people_are_told_apart(recognizer, name, aligner, shared):
    people = {"obama": ["obama.jpg", "obama1.jpg", "obama2.jpg"], "jolie": ["img2.jpg", "img4.jpg", "img5.jpg"],
              "damon": ["img29.jpg", "img31.jpg"]}
    faces, owners = [], []
    for person, files in people.items():
        for file in files:
            faces.append(face_of(picture_file.read(shared(f"identities/{person}/{file}")), aligner))
            owners.append(person)
    embeddings, owners = recognizer.embed(faces), np.array(owners)
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=-1)
    same = owners[:, None] == owners[None]
    assert distances[same].max() < person_limit(name, recognizer) < distances[~same].min()
