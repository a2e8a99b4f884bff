"""Train: our loop, data and all, against the bare compiled step on one batch in memory, and Keras's
own loop.

Ours and the bare step take turns of a few seconds, so that a machine whose speed drifts is as fast
for both. Keras's loop in float32 on the PyTorch backend, as other tools train, is timed too where
PyTorch is installed. Each loop runs in a process of its own, in turn, because Keras has one backend
and one precision a process. Our process also multiplies large matrices in the same precision, to
tell what the step reaches of that rate, and on a GPU asks its driver how busy it is. KERAS_BACKEND
chooses the backend of all loops but that of other tools.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.errors import FaceswapError
from lib.files.reading import parse_json
from lib.jobs.bench import BenchSettings, Figure
from lib.plugin import MODELS
from lib.system import device

if TYPE_CHECKING:
    from lib.training.batches.faces import Faces
    from lib.training.model.contract import FaceModel
    from lib.training.step.base import Fed, Step

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 16.0  # that each loop is timed for, after its first iterations
TURNS = 4  # that ours and the bare step take in them
SETTLED = 0.5  # seconds before a turn, in which batches that were made ahead are finished
FACES = 64
MATRIX, MATRIX_ON_GPU = 2048, 8192  # rows and columns
SAMPLE = 0.1  # seconds between questions to a GPU's driver
OURS, KERAS, PEER = "ours", "keras", "peer"


def measure(settings: BenchSettings) -> list[Figure]:
    """Images/s of `settings.model` with its options, in the machine's precision.

    With `settings.batch` faces of each person, else the model's default.
    """
    # Keras's own loop has no place for networks that work against each other
    plain = not MODELS.load(settings.model).adversarial
    peer = plain and importlib.util.find_spec("torch") is not None
    arguments = json.dumps({"name": settings.model, "settings": asdict(settings.create("model")),
                            "batch": settings.batch,
                            "faces": str(settings.input.resolve()) if settings.input else None})
    runs: dict[str, list[dict[str, Any]]] = {OURS: [], KERAS: [], PEER: []}
    for turn in range(settings.repeats):
        for loop in (OURS, *[KERAS] * plain, *[PEER] * (peer and turn == 0)):
            runs[loop].append(_in_its_own_process(loop, settings.model, arguments))

    ours, bare, share = (np.array([run[name] for run in runs[OURS]])
                         for name in ("trained", "bare", "share"))
    figures = [Figure(f"{settings.model}, {device.default_precision()}, trained", np.median(ours),
                      "images/s"), Figure("bare compiled step on a fixed batch", np.median(bare),
                                          "images/s"),
               Figure("trained / bare compiled step", np.median(ours / bare), "",
                      "at least 0.95" if plain else "at least 0.85")]
    if plain:
        figures.append(Figure("share of the matrix-product rate", np.median(share), "",
                              "at least 0.45 (original), 0.35 (compact, 256 pixels)"))
    if busy := [run["busy"] for run in runs[OURS] if run["busy"] is not None]:
        rate = np.median([run["rate"] for run in runs[OURS]]) / 1e12
        figures += [Figure("the matrix-product rate", rate, "TFLOP/s"),
                    Figure("the GPU's utilisation while it trains", np.median(busy), "%",
                           "at least 90")]
    if plain:
        keras = np.array([run["trained"] for run in runs[KERAS]])[:, None]
        figures += [Figure("Keras's own loop on a fixed batch", np.median(keras), "images/s"),
                    Figure("trained / Keras's own loop", np.median(ours / keras), "")]
    if peer:
        torch = runs[PEER][0]["trained"]
        figures += [Figure("Keras's loop, float32, PyTorch", torch, "images/s"),
                    Figure("trained / Keras's loop, float32, PyTorch", np.median(ours) / torch,
                           "times", "at least 3 (original)")]
    return figures


def _in_its_own_process(loop: str, model: str, arguments: str) -> dict[str, Any]:
    environment = os.environ | {"KERAS_BACKEND": "torch" if loop == PEER else device.backend()}
    done = subprocess.run([sys.executable, "-m", "scripts.benchmarks.train", loop, arguments],
                          cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise FaceswapError(f"The benchmark of {model} ({loop}) failed: {reason}")
    return parse_json(done.stdout.splitlines()[-1])


def _ours(name: str, settings: dict, batch: int | None, faces: str | None) -> dict[str, Any]:
    """`trained` and `bare`: images/s in each turn."""
    import keras
    from keras import ops

    from lib.nn import backend
    from lib.plugin import SCHEDULES
    from lib.training.plan import Plan
    from lib.training.run import assembly, estimate
    from lib.training.step.choice import make_step

    backend.set_up(device.default_precision())
    model = MODELS.create(name, **settings)
    held = _faces(model, Path(faces) if faces else None)
    plan = Plan(batch or model.batch, model.learning_rate, model.augmentation, seed=1,
                schedule=SCHEDULES.create("level"), averaged=model.averaged,
                on_device=backend.gpu_memory() is not None)
    parts = assembly.make_parts(model, held, plan)
    step = bare_step = make_step(parts)
    on_host = replace(plan, on_device=False)
    if plan.on_device:
        bare_step = make_step(assembly.make_parts(model, held, on_host))
    with contextlib.closing(assembly.make_feed(model, held, on_host)) as feed:
        fixed = feed.take()

    @cache
    def repeated(count: int) -> Fed:
        def repeat(array: np.ndarray) -> Any:
            return ops.convert_to_tensor(np.repeat(array, count, 0))

        return keras.tree.map_structure(repeat, fixed)

    # Both in turn
    images = len(held) * plan.batch
    trained, bare, busy = [], [], []
    with contextlib.closing(assembly.make_feed(model, held, plan)) as feed:
        time_ours = _step_rate(step, feed.take, model.learning_rate, plan.on_device)
        time_bare = _step_rate(bare_step, repeated, model.learning_rate, plan.on_device)
        for _ in range(TURNS):
            with _utilization() as percents:
                trained.append(images * time_ours())
            busy += percents
            bare.append(images * time_bare())

    # Operations an image: each decoder has half of the faces
    operations = 0
    for name, network in parts.networks.items():
        share = 1 if name.startswith("decoder") else 2
        operations += share * estimate.cost(network, model.size).operations
    rate = _matrix_rate(device.default_precision(), plan.on_device)
    return {"trained": trained, "bare": bare,
            "share": 3 * operations * float(np.median(bare)) / 2 / rate, "rate": rate,
            "busy": float(np.median(busy)) if busy else None}


def _step_rate(step: Step, take: Callable[[int], Fed], learning_rate: float,
               on_device: bool) -> Callable[[], float]:
    """Times a turn: iterations a second of `step` on what `take` gives, as many a call as the loop
    would ask for.
    """
    from lib.training.run import assembly, loop

    number = 0

    def call(count: int) -> None:
        nonlocal number
        step(take(count), number, [learning_rate] * count)
        number += count

    at_once = 1
    if on_device:
        rate = _per_second(lambda: call(1), step.wait, 0.5)
        if loop.CALL_SECONDS * rate >= assembly.MOST_AT_ONCE:
            at_once = assembly.MOST_AT_ONCE
    call(at_once)  # compiles it
    step.wait()

    def turn() -> float:
        time.sleep(SETTLED)
        return at_once * _per_second(lambda: call(at_once), step.wait, SECONDS / TURNS)

    return turn


def _matrix_rate(precision: str, on_gpu: bool) -> float:
    """Multiplications and additions a second of two square matrices."""
    from keras import ops

    side = MATRIX_ON_GPU if on_gpu else MATRIX
    numbers = np.random.default_rng(0).random((side, side), np.float32)
    matrix = ops.cast(ops.convert_to_tensor(numbers), precision)
    products = [matrix]

    def multiply() -> None:
        products[:] = [ops.matmul(matrix, matrix)]

    def wait() -> None:
        float(ops.cast(products[0][0, 0], "float32"))

    rates = [_per_second(multiply, wait, seconds=0.1) for _ in range(10)]
    return 2 * side ** 3 * float(np.median(rates))


@contextlib.contextmanager
def _utilization() -> Iterator[list[int]]:
    """Filled, while the block lasts, with how busy a GPU is, percent; stays empty where there is
    none.
    """
    percents: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(SAMPLE):
            percents.extend(gpu.utilization for gpu in device.gpus()[:1]
                         if gpu.utilization is not None)

    asking = threading.Thread(target=ask, daemon=True)
    if device.gpus():
        asking.start()
    yield percents
    over.set()


def _keras(name: str, settings: dict, batch: int | None, precision: str) -> dict[str, float]:
    import keras

    from lib.nn import backend

    backend.set_up(precision)
    model = MODELS.create(name, **settings)
    networks = model.networks()
    inputs = {identity: keras.Input((model.size, model.size, 3)) for identity in "ab"}
    outputs = [model.swapper(networks, identity)(face)[..., :3]
               for identity, face in inputs.items()]
    swapper = keras.Model(list(inputs.values()), outputs)
    swapper.compile(model.optimizer("all", model.learning_rate), loss=["mean_absolute_error"] * 2)
    batch = batch or model.batch
    faces, targets = ([np.random.default_rng(0).random((batch, side, side, 3), np.float32)] * 2
                      for side in (model.size, model.drawn))
    return {"trained": 2 * batch * _per_second(lambda: swapper.train_on_batch(faces, targets))}


def _per_second(call: Callable[[], object], wait: Callable[[], object] = lambda: None,
                seconds: float = SECONDS) -> float:
    """How often `call` is done in a second, after the first two; `wait` returns when all calls are
    done.
    """
    for _ in range(2):
        call()
    wait()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or count < 3:
        call()
        count += 1
    wait()
    return count / (time.perf_counter() - began)


def _faces(model: FaceModel, folder: Path | None) -> dict[str, Faces]:
    """The faces of `folder`, for all people; without one, of two portraits seen by a camera."""
    from lib.alignments.extraction.extract import extract_faces
    from lib.alignments.extraction.setup import ExtractionSetup
    from lib.alignments.store import AlignmentStore
    from lib.facesets import face_set
    from lib.facesets.face_file import crop_landmarks
    from lib.facesets.folder import FaceFolder
    from lib.media.endpoints.sample_clips import MovingCamera, admiral, astronaut
    from lib.training.batches.faces import Faces

    faces = {}
    with tempfile.TemporaryDirectory() as temporary:
        for identity, portrait in zip(model.identities, (astronaut, admiral)):
            path = folder or Path(temporary) / identity
            if folder is None:
                with AlignmentStore.open(Path(temporary) / f"{identity}.db") as store:
                    source = MovingCamera(portrait(), seconds=FACES / 25)
                    extract_faces(source, store, ExtractionSetup.of("hog", sink=FaceFolder(path)))
            files = face_set.read_faces(path, device.cores())
            faces[identity] = Faces([file.image for file in files], crop_landmarks(files),
                                    files[0].coverage, model.size, model.coverage, model.taught)
    return faces


if __name__ == "__main__":
    arguments = parse_json(sys.argv[2])
    if sys.argv[1] == OURS:
        print(json.dumps(_ours(**arguments)))
    else:
        del arguments["faces"]
        precision = "float32" if sys.argv[1] == PEER else device.default_precision()
        print(json.dumps(_keras(**arguments, precision=precision)))
