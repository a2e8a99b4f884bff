"""`faceswap.py gather` against a server on this machine that misbehaves in every way known to us."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.errors import DONE, INTERRUPTED, SOME_FAILED, FaceswapError
from lib.gathering import crew, fetching, report as reports
from scripts.gather import Gather, run

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = b"<!DOCTYPE html><html><head><title>Please &amp; sign in</title></head><body>Hello</body></html>"


class Server(http.server.ThreadingHTTPServer):
    """`pages[path] = function(handler)`; `asked` holds the path and the headers of each request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.asked, self.ended = {}, [], threading.Event()
        self.active, self.most_active = 0, 0

    def __call__(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range headers of the requests for `path`."""
        return [headers.get("Range") for asked, headers in self.asked if asked == path]

    def handle_error(self, request, client_address):
        pass  # clients that leave


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        self.count = len(self.server.ranges(self.path))  # 1 at the first request for this path
        page = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
        else:
            page(self)

    def answer(self, status: int, headers: dict, body: bytes = b"", length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def plain(body: bytes, **headers):
    """A well-behaved page: ranges, ETag and all."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    tag = f'"{hashlib.md5(body).hexdigest()}"'

    def page(handler):
        asked = handler.headers.get("Range")
        if asked and handler.headers.get("If-Range", tag) == tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            handler.answer(206, headers | {"ETag": tag, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}, body[start:])
        else:
            handler.answer(200, headers | {"ETag": tag}, body)
    return page


def first(*pages):
    """Each page once, the last one for ever."""
    return lambda handler: pages[min(handler.count, len(pages)) - 1](handler)


def cut(body: bytes, at: int, **headers):
    """Breaks off after `at` bytes."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(200, headers, body[:at], length=len(body))


def status(code: int, **headers):
    return lambda handler: handler.answer(code, {name.replace("_", "-"): value for name, value in headers.items()}, b"sorry")


def to(onward: str):
    return lambda handler: handler.answer(302, {"Location": onward})


def picture(seed: int, side: int = 48, kind: str = "PNG") -> bytes:
    memory = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(memory, kind)
    return memory.getvalue()


@pytest.fixture(scope="module")
def running():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(running, monkeypatch):
    running.pages, running.asked, running.most_active = {}, [], 0
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(crew, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(crew, "FAREWELL", 0.1)
    return running


@pytest.fixture
def gather(server, tmp_path):
    """`gather("/a.png", ...)` -> exit code; the files are in tmp_path / "out". Options by name."""

    def gather(*paths: str, **options) -> int:
        addresses = [path if "://" in path or not path.startswith("/") else server(path) for path in paths]
        (tmp_path / "urls.txt").write_text("\n".join(addresses), encoding="utf-8")
        return run(Gather(**{"input": tmp_path / "urls.txt", "output": tmp_path / "out", "jobs": 4, "retries": 3, "timeout": 5.0,
                             "max_size": 4000.0, "min_side": 0, "only": None, "again": False} | options))
    return gather


@pytest.fixture
def files(tmp_path):
    """`files()` -> the content of each file in the folder by name, without the report."""
    return lambda: {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*")
                    if path.is_file() and path.name != "gather.json"}


@pytest.fixture
def entries(server, tmp_path):
    """`entries()["/a.png"]` -> what the report says of it."""

    def entries() -> dict[str, dict]:
        told = json.loads((tmp_path / "out" / "gather.json").read_text(encoding="utf-8"))["addresses"]
        return {entry["address"].removeprefix(server("")): entry for entry in told}
    return entries


def why(gather, entries, path: str, **options) -> str:
    """The error of the only address of a list, which fails."""
    with pytest.raises(FaceswapError, match="Nothing of .*urls.txt could be had"):
        gather(path, **options)
    return entries()[path]["error"]


def test_files_come_whole_and_are_told_of(server, gather, files, entries, clips):
    video = clips[0].read_bytes()
    server.pages = {"/a.png": plain(picture(1)), "/b.mp4": plain(video)}
    assert gather("/a.png", "/b.mp4") == DONE
    assert files() == {"a.png": picture(1), "b.mp4": video}
    assert entries()["/a.png"] == {"address": server("/a.png"), "status": "done", "file": "a.png", "bytes": len(picture(1)),
                                   "sha256": hashlib.sha256(picture(1)).hexdigest(), "type": "picture", "width": 48, "height": 48}
    assert entries()["/b.mp4"]["type"] == "video" and entries()["/b.mp4"]["width"] == 256


def test_a_second_run_asks_for_nothing(server, gather, files):
    server.pages = {"/a.png": plain(picture(1)), "/b.png": plain(picture(1))}
    gather("/a.png", "/b.png")
    server.asked.clear()
    assert gather("/a.png", "/b.png") == DONE
    assert not server.asked and len(files()) == 1


def test_what_was_cut_off_is_gone_on_with(server, gather, files):
    body = picture(1)
    server.pages["/a.png"] = first(cut(body, 3000, ETag=f'"{hashlib.md5(body).hexdigest()}"'), plain(body))
    assert gather("/a.png") == DONE
    assert server.ranges("/a.png") == [None, "bytes=3000-"]
    assert files() == {"a.png": body}
