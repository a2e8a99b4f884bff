"""Train: our loop, data and all, against the bare compiled step on one batch that stays in memory, and against Keras's own loop.

The peers' way, Keras's loop in float32 on the PyTorch backend, is timed too where PyTorch is installed. Each runs in a process of its own,
turn about, because Keras has one backend and one precision a process. Our process also multiplies large matrices in the same precision:
what the step reaches of that rate is told.
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
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lib import device
from lib.errors import FaceswapError
from lib.plugin import MODELS
from scripts.benchmarks import Figure

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 12.0  # that each is timed for, after its first iterations
FACES = 64
MATRIX = 2048  # rows and columns
OURS, KERAS, PEER = "ours", "keras", "peer"


def measure(options) -> list[Figure]:
    """Images/s of `options.model` with its options and its default batch, in the machine's precision."""
    peer = importlib.util.find_spec("torch") is not None
    settings = asdict(options.create("model"))
    runs = {way: [] for way in (OURS, KERAS, PEER)}
    for turn in range(options.repeats):
        for way in (OURS, KERAS, *([PEER] if peer and turn == 0 else [])):
            runs[way].append(_in_its_own_process(way, options.model, settings))
    ours, bare, rate = (np.array([run[name] for run in runs[OURS]]) for name in ("trained", "bare", "share"))
    keras = np.array([run["trained"] for run in runs[KERAS]])
    figures = [Figure(f"{options.model}, {device.default_precision()}, trained", np.median(ours), "images/s"),
               Figure("bare compiled step on a fixed batch", np.median(bare), "images/s"),
               Figure("trained / bare compiled step", np.median(ours / bare), "", "at least 0.95"),
               Figure("share of the matrix-product rate", np.median(rate), "", "at least 0.45 (original), 0.35 (compact, 256 pixels)"),
               Figure("Keras's own loop on a fixed batch", np.median(keras), "images/s"),
               Figure("trained / Keras's own loop", np.median(ours / keras), "")]
    if peer:
        torch = runs[PEER][0]["trained"]
        figures += [Figure("Keras's loop, float32, PyTorch", torch, "images/s"),
                    Figure("trained / Keras's loop, float32, PyTorch", np.median(ours) / torch, "times", "at least 3 (original)")]
    return figures


def _in_its_own_process(way: str, model: str, settings: dict) -> dict[str, float]:
    environment = os.environ | {"KERAS_BACKEND": "torch" if way == PEER else "tensorflow"}
    done = subprocess.run([sys.executable, "-m", "scripts.benchmarks.train", way, model, json.dumps(settings)], cwd=ROOT, env=environment,
                          capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise FaceswapError(f"The benchmark of {model} ({way}) failed: {reason}")
    return json.loads(done.stdout.splitlines()[-1])


def _ours(name: str, settings: dict) -> dict[str, float]:
    from lib.plugin import SCHEDULES
    from lib.training import backend, estimate, loop
    from lib.training.plan import Plan
    from lib.training.step import make_step

    backend.set_up(device.default_precision())
    model = MODELS.create(name, **settings)
    faces = _faces(model.size, model.coverage, model.drawn)
    plan = Plan(model.batch, model.learning_rate, model.augmentation, seed=1, schedule=SCHEDULES.create("level"), averaged=model.averaged)
    parts = loop.make_parts(model, faces, plan)
    step = make_step(parts)
    with contextlib.closing(loop.make_feed(faces, plan)) as feed:
        batch = feed.take()

        def iterate(number: int, fed: dict) -> None:
            step(fed, number, [model.learning_rate])
            step.wait()

        trained = _iterations_per_second(lambda number: iterate(number, feed.take()))
    bare = _iterations_per_second(lambda number: iterate(number, batch))  # the threads that made batches have ended
    costs = {network: estimate.cost(made).operations for network, made in parts.networks.items()}
    each = sum(cost * (1 if network.startswith("decoder") else 2) for network, cost in costs.items())  # each decoder has half of the faces
    return {"trained": 2 * model.batch * trained, "bare": 2 * model.batch * bare,
            "share": 3 * each * model.batch * bare / _matrix_rate(device.default_precision())}


def _matrix_rate(precision: str) -> float:
    """Multiplications and additions a second of two square matrices."""
    from keras import ops

    one = ops.cast(ops.convert_to_tensor(np.random.default_rng(0).random((MATRIX, MATRIX), np.float32)), precision)
    times = []
    for _ in range(12):
        began = time.perf_counter()
        ops.convert_to_numpy(ops.matmul(one, one)[0, 0])
        times.append(time.perf_counter() - began)
    return 2 * MATRIX ** 3 / float(np.median(times[2:]))


def _keras(name: str, settings: dict, precision: str) -> dict[str, float]:
    import keras

    from lib.training import backend

    backend.set_up(precision)
    model = MODELS.create(name, **settings)
    networks = model.networks()
    inputs = {identity: keras.Input((model.size, model.size, 3)) for identity in "ab"}
    outputs = [model.swapper(networks, identity)(face)[..., :3] for identity, face in inputs.items()]
    both = keras.Model(list(inputs.values()), outputs)
    both.compile(model.optimizer("all", model.learning_rate), loss=["mean_absolute_error"] * 2)
    seen, wanted = ([np.random.default_rng(0).random((model.batch, side, side, 3), np.float32) for _ in inputs]
                    for side in (model.size, model.drawn))
    return {"trained": 2 * model.batch * _iterations_per_second(lambda number: both.train_on_batch(seen, wanted))}


def _iterations_per_second(iterate) -> float:
    for number in range(2):
        iterate(number)
    times = []
    while sum(times) < SECONDS or len(times) < 3:
        began = time.perf_counter()
        iterate(2 + len(times))
        times.append(time.perf_counter() - began)
    return len(times) / sum(times)


def _faces(size: int, coverage: str, drawn: int) -> dict:
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
            faces[identity] = Faces([file.image for file in files], [file.landmarks for file in files], files[0].coverage, size, coverage,
                                    drawn)
    return faces


if __name__ == "__main__":
    way, name, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    print(json.dumps(_ours(name, settings) if way == OURS else
                     _keras(name, settings, "float32" if way == PEER else device.default_precision())))
