"""Real faces for every test: the portraits inside scikit-image and matplotlib always, the shared footage where it is."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FACESWAP_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
if (SHARED / "weights" / "yunet").is_dir():  # before any test imports lib.net.weights: no test downloads
    os.environ.setdefault("FACESWAP_WEIGHTS", str(SHARED / "weights" / "yunet"))
# Nothing is asked of any address but 127.0.0.1: all else goes to a proxy that is not there.
os.environ |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1,localhost,::1"}
if "FACESWAP_KEYS" not in os.environ:  # no test signs with the user's own key
    os.environ["FACESWAP_KEYS"] = tempfile.mkdtemp(prefix="faceswap-keys-")
    atexit.register(shutil.rmtree, os.environ["FACESWAP_KEYS"], ignore_errors=True)
# As many tests run at once as there are cores: threads of these libraries' own would only get in each other's way.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(ROOT))

from tests.warm import Warm  # noqa: E402

# A shell that starts the tests in the background ignores Ctrl-C for them, and for what they start: heard again, for the tests of it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = {line for line in (ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"}
    for item in items:
        if item.nodeid in slow or item.nodeid.partition("[")[0] in slow or item.nodeid.partition("::")[0] in slow:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", autouse=True)
def _memory_is_given_back():
    """Networks of one file of tests do not stay in memory for all of the others."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="session")
def shared():
    """`shared("videos/swap/b_hill.mp4")` -> its path; the test is skipped where the shared data is not."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f"needs {relative} of the test data (FACESWAP_TEST_DATA)")
        return path

    return find


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """(512, 512, 3) uint8 RGB, one frontal face."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut())


@pytest.fixture(scope="session")
def hopper() -> np.ndarray:
    """(606, 512, 3) uint8 RGB, one frontal face."""
    from matplotlib import cbook
    from PIL import Image

    return np.asarray(Image.open(cbook.get_sample_data("grace_hopper.jpg")).convert("RGB"))


@pytest.fixture(scope="session")
def warm():
    """Where command lines run that train or convert, unless there is a GPU."""
    from lib.system import device

    warm = None if device.gpus() else Warm()
    yield warm
    if warm:
        warm.close()


@pytest.fixture(scope="session")
def faceswap(warm):
    """`faceswap("extract", "-i", video, code=0)` runs the command line as a user would and checks its exit code."""

    def run(*arguments, code: int | None = 0, timeout: float = 600, **environment) -> subprocess.CompletedProcess:
        line = list(map(str, arguments))
        if environment.keys() <= {"FACESWAP_PLUGINS", "TF_CONFIG"} and warm:
            done = warm.run(line, os.environ | environment, timeout)
        else:
            done = subprocess.run([sys.executable, str(ROOT / "faceswap.py"), *line], capture_output=True, text=True, timeout=timeout,
                                  env=os.environ | environment)
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        assert "InitializeLog" not in done.stderr, f"TensorFlow greets:\n{done.stderr}"
        return done

    return run


@pytest.fixture
def full_disk():
    """`with full_disk(5000):` no file of this process grows beyond so many bytes, as where a disk is full."""
    resource = pytest.importorskip("resource", reason="this system has no limits of file sizes")

    @contextmanager
    def limited(size: int):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="session")
def own_plugins() -> dict[str, str]:
    """What to give to `faceswap(...)` so that it finds the plugins of the tests: the model "tiny"."""
    return {"FACESWAP_PLUGINS": str(ROOT / "tests" / "own_plugins")}


@pytest.fixture(scope="session")
def onnx_example():
    """`onnx_example(0)`: the first TOML file in docs/onnx.md, which is OpenSeeFace's; the second is the face parser's."""
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8"), re.DOTALL)
    return lambda number: blocks[number]


@pytest.fixture(scope="session")
def openseeface(shared, onnx_example, tmp_path_factory) -> Path:
    """The TOML file of the OpenSeeFace network, as the documentation has it."""
    pytest.importorskip("onnxruntime")
    network = shared("weights/openseeface/lm_model0_opt.onnx")
    folder = tmp_path_factory.mktemp("openseeface")
    shutil.copy(network, folder)
    (folder / "openseeface.toml").write_text(onnx_example(0))
    return folder / "openseeface.toml"


@pytest.fixture(scope="session")
def make_network():
    """`make_network(path, nodes, [batch, 3, side, side], constants)` saves an ONNX network from "pictures" to "answer"; returns `path`.

    `nodes` are made with `onnx.helper.make_node`, `constants` are arrays by name; a side of None is left open.
    """
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    def make(path: Path, nodes: list, shape: list[int | None], constants: dict[str, np.ndarray]) -> Path:
        graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, shape)],
                                  [helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)],
                                  [numpy_helper.from_array(value, name) for name, value in constants.items()])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    return make


@pytest.fixture(scope="session")
def skin_network(make_network, tmp_path_factory) -> Path:
    """The TOML file of a network that tells skin, class 1, from all else by the colour of each pixel: redder than green and blue."""
    from onnx import helper

    folder = tmp_path_factory.mktemp("skin")
    weights = np.float32([[0, 0, 0], [60, -30, -30]]).reshape(2, 3, 1, 1)
    make_network(folder / "skin.onnx", [helper.make_node("Conv", ["pictures", "weights", "bias"], ["answer"])], [None, 3, None, None],
                 {"weights": weights, "bias": np.float32([0, -6])})
    (folder / "skin.toml").write_text('[network]\nfile = "skin.onnx"\nsize = 64\n\n[mask]\nface = [1]\n')
    return folder / "skin.toml"


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> tuple[Path, Path]:
    """Two videos of 16 frames, 256 pixels wide, one person in each."""
    from lib.media.endpoints.sample_clips import MovingCamera, admiral
    from lib.media.endpoints.sample_clips import astronaut as astronaut_portrait
    from lib.plugin import WRITERS

    folder = tmp_path_factory.mktemp("clips")
    paths = []
    for portrait in astronaut_portrait(), admiral():
        camera = MovingCamera(portrait, seconds=16 / 25, side=256)
        paths.append(folder / f"{portrait.name}.mp4")
        with WRITERS.create("video").open(paths[-1], camera) as sink:
            for frame in camera:
                sink.write(frame, frame.image)
    return tuple(paths)


@pytest.fixture(scope="session")
def two_people(tmp_path_factory) -> Path:
    """A video of 14 frames of the astronaut and, after a cut, 10 of the admiral, 256 pixels wide."""
    from lib.media.endpoints.sample_clips import MovingCamera, admiral
    from lib.media.endpoints.sample_clips import astronaut as astronaut_portrait
    from lib.plugin import WRITERS
    from lib.types import Frame

    path = tmp_path_factory.mktemp("two_people") / "two.mp4"
    shots = [MovingCamera(astronaut_portrait(), seconds=14 / 25, side=256), MovingCamera(admiral(), seconds=10 / 25, side=256)]
    images = [frame.image for shot in shots for frame in shot]
    with WRITERS.create("video").open(path, shots[0]) as sink:
        for index, image in enumerate(images):
            sink.write(Frame(index, image, time=index / 25), image)
    return path


@pytest.fixture(scope="session")
def face_folders(tmp_path_factory) -> dict[str, Path]:
    """Face folders of two people, "a" and "b", 12 faces each."""
    from lib.alignments.extraction.extract import extract_faces
    from lib.alignments.extraction.setup import ExtractionSetup
    from lib.alignments.store import AlignmentStore
    from lib.facesets.folder import FaceFolder
    from lib.media.endpoints.sample_clips import MovingCamera, admiral
    from lib.media.endpoints.sample_clips import astronaut as astronaut_portrait
    from lib.plugin import ALIGNERS, DETECTORS

    folder = tmp_path_factory.mktemp("people")
    for identity, portrait in (("a", astronaut_portrait()), ("b", admiral())):
        with AlignmentStore.open(folder / f"{identity}.db") as store:
            extract_faces(MovingCamera(portrait, seconds=12 / 25, side=256), store, ExtractionSetup(lambda: DETECTORS.create("hog"),
                    lambda: ALIGNERS.create("dlib68"), sink=FaceFolder(folder / identity)))
    return {identity: folder / identity for identity in "ab"}


@pytest.fixture(scope="session")
def many_faces(face_folders):
    """`many_faces(folder, 1500)` writes so many small faces into a new folder; returns it."""
    from dataclasses import replace

    import cv2

    from lib.facesets.face_file import Origin, read_face
    from lib.facesets.folder import list_faces, write_face

    def make(folder: Path, count: int) -> Path:
        folder.mkdir()
        aligned = read_face(list_faces(face_folders["a"])[0]).aligned
        small = replace(aligned, image=cv2.resize(aligned.image, (64, 64)), matrix=aligned.matrix / 4)
        for frame in range(count):
            write_face(folder, small, Origin("a.mp4", frame, 0))
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_swap(clips, faceswap, own_plugins, tmp_path_factory) -> Path:
    """A folder that `swap` was run in: out.mp4 and out.faceswap/, with a model that learnt next to nothing. Copy it to change it."""
    folder = tmp_path_factory.mktemp("swap")
    faceswap("swap", "-A", clips[0], "-B", clips[1], "-o", folder / "out.mp4", "-t", "tiny", "-i", 3, "-D", "hog", **own_plugins)
    return folder
