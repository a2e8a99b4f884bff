import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from lib.errors import FaceswapError
from lib.net import web, weights
from lib.net.weights import TABLE, Weights, package_file

CONTENT = bytes(range(256)) * 1000


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT, with ranges; `cut` bytes are sent before the connection breaks, `wrong` sends other bytes."""

    cut: int | None = None
    wrong = False
    ranges = True
    silent = False
    drips = False
    onward: str | None = None


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if server.silent:
            server.wait.wait(30)
            return
        if server.onward:
            self.send_response(302)
            self.send_header("Location", server.onward)
            self.end_headers()
            return
        body = bytes(len(CONTENT)) if server.wrong else CONTENT
        asked = self.headers.get("Range")
        if asked and server.ranges:
            body = body[int(asked.removeprefix("bytes=").removesuffix("-")):]
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        while server.drips and not server.wait.wait(0.05):
            self.wfile.write(b"x")
        self.wfile.write(body if server.cut is None else body[:server.cut])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.wait = [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.wait.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def cached(server, tmp_path, monkeypatch) -> Path:
    """Where the file `test` of the table will lie once it is downloaded from the server."""
    address = f"http://127.0.0.1:{server.server_port}/test.onnx"
    monkeypatch.setitem(TABLE, "test", Weights("test.onnx", address, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "MIT"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FACESWAP_WEIGHTS", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "faceswap" / "weights" / "test.onnx"


def test_downloads_once_into_the_cache(server, cached):
    assert weights.weights("test") == cached
    assert cached.read_bytes() == CONTENT
    assert weights.weights("test") == cached
    assert server.asked == [None]
    assert [path.name for path in cached.parent.iterdir()] == ["test.onnx"]


def test_goes_on_where_the_connection_broke(server, cached):
    server.cut = 100_000
    with pytest.raises(FaceswapError, match="100000 of 256000 bytes"):
        weights.weights("test")
    assert not cached.exists()
    server.cut = None
    assert weights.weights("test").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_starts_anew_where_the_server_knows_no_ranges(server, cached):
    server.cut, server.ranges = 100_000, False
    with pytest.raises(FaceswapError):
        weights.weights("test")
    server.cut = None
    assert weights.weights("test").read_bytes() == CONTENT


def test_a_damaged_part_is_fetched_anew(server, cached):
    server.cut = 100_000
    with pytest.raises(FaceswapError):
        weights.weights("test")
    server.cut = None
    part, = cached.parent.iterdir()
    part.write_bytes(b"x" * part.stat().st_size)
    assert weights.weights("test").read_bytes() == CONTENT


def test_another_file_is_refused_and_not_kept(server, cached):
    server.wrong = True
    with pytest.raises(FaceswapError, match="SHA-256"):
        weights.weights("test")
    assert not list(cached.parent.iterdir())


def test_a_damaged_file_in_the_cache_is_replaced(server, cached):
    weights.weights("test")
    cached.write_bytes(CONTENT[:-1] + b"x")
    assert weights.weights("test").read_bytes() == CONTENT


def test_a_server_that_does_not_answer_is_given_up(server, cached, monkeypatch):
    monkeypatch.setattr(weights, "TIMEOUT", 1.0)
    server.silent = True
    with pytest.raises(FaceswapError, match="no answer within.*place it in"):
        weights.weights("test")


def test_a_server_that_sends_byte_by_byte_is_given_up(server, cached, monkeypatch):
    monkeypatch.setattr(web, "SLOW_SECONDS", 0.3)
    server.drips = True
    with pytest.raises(FaceswapError, match="too slow.*place it in"):
        weights.weights("test")


def test_a_redirect_that_no_server_may_make_is_not_followed(server, cached):
    server.onward = "http://224.0.0.1/test.onnx"
    with pytest.raises(FaceswapError, match="leads to 224.0.0.1, which is inside.*place it in"):
        weights.weights("test")


def test_offline_says_what_to_place_where(server, cached, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # the discard port: nobody listens; proxies are honoured
    with pytest.raises(FaceswapError) as caught:
        weights.weights("test")
    assert TABLE["test"].address in str(caught.value) and str(cached.parent) in str(caught.value)
    assert not server.asked


def test_own_folder_comes_first_and_is_checked(server, cached, tmp_path, monkeypatch):
    monkeypatch.setenv("FACESWAP_WEIGHTS", str(tmp_path))
    (tmp_path / "test.onnx").write_bytes(CONTENT)
    assert weights.weights("test") == tmp_path / "test.onnx"
    (tmp_path / "test.onnx").write_bytes(CONTENT[::-1])
    with pytest.raises(FaceswapError, match="not the expected file"):
        weights.weights("test")
    assert not server.asked


def test_finds_files_of_a_package_without_importing_it():
    import sys

    assert package_file("face_recognition_models", "models/mmod_human_face_detector.dat").stat().st_size > 100_000
    assert "face_recognition_models" not in sys.modules


def test_a_missing_package_is_named():
    with pytest.raises(FaceswapError, match="pip install no-such-thing"):
        package_file("no_such_thing", "x.dat")
