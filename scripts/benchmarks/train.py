"""Train: our loop, data and all, against a bare Keras loop of the same network on one batch that stays in memory.

The peers' way, the same bare loop in float32 on the PyTorch backend, is timed too where PyTorch is installed.
Each runs in a process of its own, turn about, because Keras has one backend and one precision a process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lib import device
from lib.errors import FaceswapError
from scripts.benchmarks import Figure

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 12.0  # that each is timed for, after its first iterations
FACES = 64
OURS, BARE, PEER = "ours", "bare", "peer"


def measure(options) -> list[Figure]:
    """Images/s of `options.model` with its default batch, in the machine's precision."""
    peer = importlib.util.find_spec("torch") is not None
    speeds = {way: [] for way in (OURS, BARE, PEER)}
    for turn in range(options.repeats):
        for way in (OURS, BARE, *([PEER] if peer and turn == 0 else [])):
            speeds[way].append(_in_its_own_process(way, options.model))
    ours, bare = np.median(speeds[OURS]), np.median(speeds[BARE])
    ratio = np.median(np.array(speeds[OURS]) / np.array(speeds[BARE]))
    figures = [Figure(f"{options.model}, {device.default_precision()}, trained", ours, "images/s"),
               Figure("bare Keras loop on a fixed batch", bare, "images/s"),
               Figure("trained / bare loop", ratio, "", "at least 0.85")]
    if peer:
        figures += [Figure("bare loop, float32, PyTorch", speeds[PEER][0], "images/s"),
                    Figure("trained / bare loop, float32, PyTorch", ours / speeds[PEER][0], "times", "at least 2.5 (original)")]
    return figures


def _in_its_own_process(way: str, model: str) -> float:
    environment = os.environ | {"KERAS_BACKEND": "torch" if way == PEER else "tensorflow"}
    done = subprocess.run([sys.executable, "-m", "scripts.benchmarks.train", way, model], cwd=ROOT, env=environment,
                          capture_output=True, text=True)
    if done.returncode:
        raise FaceswapError(f"The benchmark of {model} ({way}) failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def _ours(name: str) -> float:
    from lib.plugin import MODELS, SCHEDULES
    from lib.training import backend, loop
    from lib.training.plan import Plan
    from lib.training.step import make_step

    backend.set_up(device.default_precision())
    model = MODELS.create(name)
    faces = _faces(model.size, model.coverage)
    plan = Plan(model.batch, model.learning_rate, model.augmentation, seed=1, schedule=SCHEDULES.create("level"), averaged=model.averaged)
    step = make_step(loop.make_parts(model, faces, plan))
    with contextlib.closing(loop.make_feed(faces, plan)) as feed:

        def iterate(number: int) -> None:
            step(feed.take(), number, [model.learning_rate])
            step.report()

        return 2 * model.batch * _iterations_per_second(iterate)


def _bare(name: str, precision: str) -> float:
    import keras

    from lib.plugin import MODELS
    from lib.training import backend

    backend.set_up(precision)
    model = MODELS.create(name)
    networks = model.networks()
    inputs = {identity: keras.Input((model.size, model.size, 3)) for identity in "ab"}
    outputs = [model.swapper(networks, identity)(face)[..., :3] for identity, face in inputs.items()]
    both = keras.Model(list(inputs.values()), outputs)
    both.compile(model.optimizer("all", model.learning_rate), loss=["mean_absolute_error"] * 2)
    pictures = [np.random.default_rng(0).random((model.batch, model.size, model.size, 3), np.float32) for _ in inputs]
    return 2 * model.batch * _iterations_per_second(lambda number: both.train_on_batch(pictures, pictures))


def _iterations_per_second(iterate) -> float:
    for number in range(2):
        iterate(number)
    times = []
    while sum(times) < SECONDS or len(times) < 3:
        began = time.perf_counter()
        iterate(2 + len(times))
        times.append(time.perf_counter() - began)
    return len(times) / sum(times)


def _faces(size: int, coverage: str) -> dict:
    """Faces of two portraits seen by a moving camera."""
    from lib.faces.faceset import FaceFolder, list_faces, read_face
    from lib.faces.extraction import extract
    from lib.faces.store import AlignmentStore
    from lib.media.portraits import MovingCamera, admiral, astronaut
    from lib.plugin import ALIGNERS, DETECTORS
    from lib.training.data import Faces

    faces = {}
    with tempfile.TemporaryDirectory() as folder:
        for identity, portrait in (("a", astronaut()), ("b", admiral())):
            camera = MovingCamera(portrait, seconds=FACES / 25)
            sink = FaceFolder(Path(folder) / identity)
            with AlignmentStore.open(Path(folder) / f"{identity}.db") as store:
                extract(camera, store, lambda: DETECTORS.create("hog"), lambda: ALIGNERS.create("dlib68"), sink=sink)
            files = [read_face(path) for path in list_faces(sink.path)]
            faces[identity] = Faces([file.image for file in files], [file.landmarks for file in files], files[0].coverage, size, coverage)
    return faces


if __name__ == "__main__":
    way, name = sys.argv[1:]
    print(json.dumps(_ours(name) if way == OURS else _bare(name, "float32" if way == PEER else device.default_precision())))
