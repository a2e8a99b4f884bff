"""The loop itself: nothing grows, nothing is left open."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import threading
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import pytest

from lib.errors import FaceswapError
from lib.nn import backend
from lib.plugin import SCHEDULES
from lib.training.batches.augmentation import CLASSIC
from lib.training.batches.faces import Faces
from lib.training.plan import Plan
from lib.training.run import loop
from lib.training.watch.record import STILL

OWN = Path(__file__).resolve().parents[3] / "own_plugins" / "models" / "tiny.py"
MEGABYTE = 1 << 20


def tiny():
    """The model of that file."""
    backend.set_up("float32", 1)
    spec = importlib.util.spec_from_file_location("tests_tiny", OWN)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Tiny()


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def faces(face_folders, model) -> dict[str, Faces]:
    from lib.facesets.face_file import read_face
    from lib.facesets.folder import list_faces

    people = {}
    for identity, folder in face_folders.items():
        files = [read_face(path) for path in list_faces(folder)]
        people[identity] = Faces([file.image for file in files], [file.landmarks for file in files], "whole", model.size, model.coverage)
    return people


def plan(iterations: int, **changes) -> Plan:
    return Plan(**{"batch": 4, "learning_rate": 1e-3, "augmentation": CLASSIC, "seed": 1, "schedule": SCHEDULES.create("level"),
                   "iterations": iterations, "save_minutes": 0.1, "report_seconds": 0.5, "preview_seconds": 1.0} | changes)


def grown(faces: dict[str, Faces], folder: Path) -> tuple[int, int, int]:
    """What training leaves behind in this process: threads, open files, and bytes of memory from its iteration 500 to its 2000."""
    process = psutil.Process()

    def there() -> np.ndarray:
        return np.array([threading.active_count(), process.num_fds() if hasattr(process, "num_fds") else 0])

    model = tiny()
    loop.train(model, faces, folder / "warm", plan(200, page=True))  # what is made once, is made
    before = there()
    run = loop._Run(model, faces, folder / "model", plan(2000, page=True), None, None, backend.Devices())
    memory = []

    def watch() -> None:  # within one run, since each builds and keeps a compiled step of its own
        while run.iteration < 2000:
            if run.iteration >= 500:
                memory.append(process.memory_info().rss)
            time.sleep(0.05)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    outcome = run.to_its_end()
    watching.join()
    assert outcome.iteration == 2000 and not outcome.interrupted
    threads, files = (there() - before).tolist()
    return threads, files, int(np.median(memory[-20:]) - np.median(memory[:20]))


def test_memory_stays_as_it_is_and_nothing_is_left_open(faces, tmp_path):
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # other tests' memory, given back late, is not this one's
        threads, files, memory = alone.submit(grown, faces, tmp_path).result()
    assert threads == 0 and files <= 2
    assert memory < 60 * MEGABYTE
    assert len(os.listdir(tmp_path / "model" / "saves")) <= 4


@pytest.mark.parametrize("wish", ["stop", "save", "preview"])
def test_the_page_takes_wishes(model, faces, tmp_path, wish):
    """A wish is sent when the first report is there."""
    run = loop._Run(model, faces, tmp_path, plan(100_000, save_minutes=60.0, preview_seconds=None, page=True), None, None,
                    backend.Devices())
    outcomes = []

    def ask() -> None:
        while run.record._page is None or not (tmp_path / "log.jsonl").exists():
            time.sleep(0.05)
        url = run.record._page.url
        token = re.search(r"TOKEN=\"([\w-]+)\"", urllib.request.urlopen(url).read().decode())[1]
        for what in dict.fromkeys((wish, "stop")):
            request = urllib.request.Request(f"{url}ask", json.dumps({"what": what}).encode(), {"X-Token": token})
            urllib.request.urlopen(request).read()
            end = time.monotonic() + 20
            while what != "stop" and time.monotonic() < end and not (tmp_path / "preview.png").exists():
                time.sleep(0.05)
            outcomes.append((len(list((tmp_path / "saves").glob("*"))) if (tmp_path / "saves").exists() else 0,
                             (tmp_path / "preview.png").exists()))

    asking = threading.Thread(target=ask)
    asking.start()
    outcome = run.to_its_end()
    asking.join()
    assert outcome.interrupted and (tmp_path / "saves" / f"{outcome.iteration:08d}").is_dir()
    if wish != "stop":
        assert outcomes[0] == (1 if wish == "save" else 0, True)


@pytest.mark.parametrize("rate, told", [(1e-12, 1), (1e-3, 0)])  # too high a rate may end in any state, by chance in a better one
def test_networks_that_learn_nothing_are_told_once(model, faces, tmp_path, caplog, rate, told):
    loop.train(model, faces, tmp_path, plan(2 * STILL, learning_rate=rate, report_seconds=0.1, preview_seconds=None))
    assert caplog.text.count("the networks learn nothing") == told


def test_a_model_that_draws_another_size_than_it_declares_is_refused(model, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(type(model), "drawn", 64)
    with pytest.raises(FaceswapError, match="draws faces of 32 pixels and declares 64"):
        loop.train(model, faces, tmp_path, plan(1))
