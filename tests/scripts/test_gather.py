"""`faceswap.py gather` against a server on this machine that misbehaves in every way known to us."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import http.server
import io
import ipaddress
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from email.utils import formatdate
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.errors import DONE, INTERRUPTED, SOME_FAILED, FaceswapError
from lib.gathering import report as reports
from lib.gathering import workers
from lib.jobs.gather import GatherSettings
from lib.net import web
from scripts.gather import run

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = b"<!DOCTYPE html><html><head><title>Please &amp; sign in</title></head><body>Hello</body></html>"


class Server(http.server.ThreadingHTTPServer):
    """`pages[path] = function(handler)`, "*" for any other path; `asked` holds the path and the headers of each request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.asked, self.ended = {}, [], threading.Event()

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
        page = self.server.pages.get(self.path) or self.server.pages.get("*")
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


def send_from_where_asked(handler, body: bytes, count: int | None = None, promised: int | None = None, **headers) -> None:
    """At most `count` bytes of `body`, from where the request wants them, whatever the file was before."""
    start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
    piece = body[start:][:count]
    told = {"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{len(body)}"} if start else {}
    handler.answer(206 if start else 200, told | headers, piece, promised and promised - start)


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
    running.pages, running.asked = {}, []
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(workers, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(workers, "FAREWELL", 0.1)
    return running


@pytest.fixture
def gather(server, tmp_path):
    """`gather("/a.png", ...)` -> exit code; the files are in tmp_path / "out". Options by name."""

    def gather(*paths: str, **options) -> int:
        addresses = [path if "://" in path or not path.startswith("/") else server(path) for path in paths]
        (tmp_path / "urls.txt").write_text("\n".join(addresses), encoding="utf-8")
        return run(GatherSettings(**{"input": tmp_path / "urls.txt", "output": tmp_path / "out", "jobs": 4, "retries": 3, "timeout": 5.0,
                             "max_size": 4000.0, "max_minutes": 720.0, "min_side": 0, "only": None, "again": False} | options))
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
    with pytest.raises(FaceswapError, match="Nothing of .*urls.txt could be downloaded"):
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


def test_a_file_that_changed_between_its_halves_is_not_glued_together(server, gather, files):
    server.pages["/a.png"] = first(cut(picture(1), 3000, ETag='"old"'), plain(picture(2)))
    assert gather("/a.png") == DONE
    assert server.asked[1][1]["If-Range"] == '"old"'
    assert files() == {"a.png": picture(2)}


def test_a_changed_file_is_noticed_where_the_server_passes_over_if_range(server, gather, files):
    old, new = picture(1, kind="BMP"), picture(2, kind="BMP")  # which has no check sum: its content would not show it
    server.pages["/a.bmp"] = first(cut(old, 3000, ETag='"old"'), partial(send_from_where_asked, body=new, ETag='"new"'))
    assert gather("/a.bmp") == DONE
    assert files() == {"a.bmp": new}


def test_last_modified_stands_in_for_a_weak_etag(server, gather, files):
    date = formatdate(1e9, usegmt=True)
    server.pages["/a.png"] = first(cut(picture(1), 3000, ETag='W/"x"', Last_Modified=date), plain(picture(1)))
    assert gather("/a.png") == DONE
    assert server.asked[1][1]["If-Range"] == date


def test_halves_of_two_files_without_any_mark_are_found_out_by_their_content(server, gather, files):
    assert len(picture(1)) == len(picture(2))
    server.pages["/a.png"] = first(cut(picture(1), 3000), partial(send_from_where_asked, body=picture(2)))
    assert gather("/a.png") == DONE
    assert server.ranges("/a.png") == [None, "bytes=3000-", None]
    assert files() == {"a.png": picture(2)}


def test_without_ranges_it_starts_anew(server, gather, files):
    server.pages["/a.png"] = first(cut(picture(1), 3000), lambda handler: handler.answer(200, {}, picture(1)))
    assert gather("/a.png") == DONE
    assert files() == {"a.png": picture(1)}


@pytest.mark.parametrize("lie", ["bytes 0-{last}/{size}", "bytes 2000-{last}/{size}", "bytes 3000-{last}/99999", "nonsense", ""])
def test_a_range_that_was_not_asked_for_is_not_glued_on(server, gather, files, lie):
    body = picture(1, kind="BMP")
    liar = {"Content-Range": lie.format(last=len(body) - 1, size=len(body))} if lie else {}

    def page(handler):
        if "Range" in handler.headers:
            handler.answer(206, liar, body[2000:-1000])  # so that the size would be right
        else:
            handler.answer(200, {}, body)

    server.pages["/a.bmp"] = first(cut(body, 3000), page)
    assert gather("/a.bmp") == DONE
    assert server.ranges("/a.bmp") == [None, "bytes=3000-", None]
    assert files() == {"a.bmp": body}


def test_a_range_that_the_server_refuses_starts_anew(server, gather, files):
    def page(handler):
        handler.answer(416, {}, b"") if "Range" in handler.headers else handler.answer(200, {}, picture(1))

    server.pages["/a.png"] = first(cut(picture(1), 3000), page)
    assert gather("/a.png") == DONE
    assert files() == {"a.png": picture(1)}


def test_more_than_the_length_that_was_told_is_not_taken(server, gather, files):
    server.pages["/a.png"] = lambda handler: handler.answer(200, {}, picture(1) + b"more" * 1000, length=len(picture(1)))
    assert gather("/a.png") == DONE
    assert files() == {"a.png": picture(1)}


def test_a_body_that_always_ends_early_is_told_of_and_kept(server, gather, files, entries, tmp_path):
    size = len(picture(1))
    server.pages["/a.png"] = cut(picture(1), 3000)
    assert why(gather, entries, "/a.png") == f"cut off after 3000 of {size} bytes, tried 4 times"
    assert [path.parent.name for path in map(Path, files())] == [".parts"] * 2
    server.pages["/a.png"] = plain(picture(1))
    assert gather("/a.png") == DONE
    assert server.ranges("/a.png")[-1] == "bytes=3000-"
    assert list(files()) == ["a.png"] and not (tmp_path / "out" / ".parts").exists()


def test_tries_that_come_forward_do_not_count(server, gather, files, monkeypatch):
    monkeypatch.setattr(workers, "PROGRESS", 500)
    body = picture(1)
    server.pages["/a.png"] = partial(send_from_where_asked, body=body, count=1000, promised=len(body))
    assert gather("/a.png", retries=1) == DONE
    assert len(server.asked) == -(-len(body) // 1000) and files() == {"a.png": body}


def test_a_body_without_a_length_that_ends_early_is_tried_again(server, gather, files):
    def nameless(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(picture(1)[:3000])

    server.pages["/a.png"] = first(nameless, plain(picture(1)))
    assert gather("/a.png") == DONE
    assert files() == {"a.png": picture(1)}


def test_a_video_that_lacks_its_end_is_refused(server, gather, entries, clips):
    video = clips[0].read_bytes()
    server.pages["/a.mp4"] = plain(video[:-1000])
    assert "damaged" in (told := why(gather, entries, "/a.mp4")) or "missing" in told or "cannot be" in told, told


def test_chunks_come_whole(server, gather, files):
    def chunked(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(picture(1)), 1000):
            piece = picture(1)[start:start + 1000]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if handler.count > 1:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    server.pages["/a.png"] = chunked
    assert gather("/a.png") == DONE
    assert len(server.asked) == 2, "the first lacked its last chunk"
    assert files() == {"a.png": picture(1)}


def test_a_packed_body_is_unpacked(server, gather, files):
    packed = gzip.compress(picture(1))
    server.pages["/a.png"] = first(cut(packed, 3000, Content_Encoding="gzip"), lambda handler: handler.answer(
        200, {"Content-Encoding": "gzip"}, packed))
    assert gather("/a.png") == DONE
    assert server.ranges("/a.png") == [None, None]
    assert files() == {"a.png": picture(1)}


def test_a_packed_rest_is_not_glued_on(server, gather, files):
    packed = {"Content-Encoding": "gzip", "Content-Range": f"bytes 3000-{len(picture(1)) - 1}/{len(picture(1))}"}

    def page(handler):
        if "Range" in handler.headers:
            handler.answer(206, packed, gzip.compress(picture(1))[3000:])
        else:
            handler.answer(200, {}, picture(1))

    server.pages["/a.png"] = first(cut(picture(1), 3000), page)
    assert gather("/a.png") == DONE
    assert files() == {"a.png": picture(1)}


@pytest.mark.parametrize("body, words", [
    (PAGE, "a web page ('Please & sign in') instead of a picture or a video"),
    (b'{"error": 1}', "a text instead"), (b"", "nothing (0 bytes)"),
    (b"%PDF-1.7 ...", "a PDF instead"), (bytes(range(256)) * 10, "data of an unknown kind"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "a drawing (SVG)"), (picture(1)[:-2000], "the file is damaged and cannot be read"),
    (b"#EXTM3U\nfile:///etc/passwd\n", "a text instead"), (b"ffconcat version 1.0\nfile /etc/passwd\n", "a text instead"),
], ids=["page", "json", "empty", "pdf", "noise", "svg", "damaged", "playlist", "concat"])
def test_what_is_no_picture_is_refused(server, gather, files, entries, body, words):
    server.pages["/a.jpg"] = plain(body, Content_Type="image/jpeg")
    assert words in why(gather, entries, "/a.jpg")
    assert not files() and len(server.asked) == 1


def test_a_page_without_end_is_left_at_once(server, gather, entries):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(PAGE)
        while not handler.server.ended.is_set():
            handler.wfile.write(b" " * 10000)

    server.pages["/a.jpg"] = endless
    assert "a web page" in why(gather, entries, "/a.jpg")


def test_a_file_without_end_is_left_at_max_size(server, gather, files, entries):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(picture(1))
        while not handler.server.ended.is_set():
            handler.wfile.write(b" " * 10000)

    server.pages["/a.png"] = endless
    assert "larger than 1 MB. Raise --max-size" in why(gather, entries, "/a.png", max_size=1.0)
    assert not files() and len(server.asked) == 1


def test_a_file_that_says_it_is_too_large_is_not_read(server, gather, entries):
    server.pages["/a.png"] = lambda handler: handler.answer(200, {}, b"", length=10 ** 10)
    assert "larger than 4000 MB" in why(gather, entries, "/a.png")


def test_a_trickle_is_given_up_and_kept(server, gather, files, entries, monkeypatch):
    monkeypatch.setattr(web, "SLOW_SECONDS", 0.5)

    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(picture(1))))
        handler.end_headers()
        for byte in picture(1):
            handler.wfile.write(bytes([byte]))
            time.sleep(0.02)

    server.pages["/a.png"] = trickle
    assert re.match(r"too slow: \d+ bytes a second", why(gather, entries, "/a.png", retries=0))
    server.pages["/a.png"] = plain(picture(1))
    assert gather("/a.png") == DONE
    assert re.fullmatch(r"bytes=\d+-", server.ranges("/a.png")[-1])
    assert files() == {"a.png": picture(1)}


def test_a_slow_file_comes_all_the_same(server, gather, files):
    def slow(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(picture(1))))
        handler.end_headers()
        for start in range(0, len(picture(1)), 1000):
            handler.wfile.write(picture(1)[start:start + 1000])
            time.sleep(0.05)

    server.pages["/a.png"] = slow
    assert gather("/a.png", retries=0, timeout=0.3) == DONE
    assert files() == {"a.png": picture(1)}


def test_a_silent_server_is_given_up(server, gather, entries):
    server.pages["/a.png"] = lambda handler: handler.server.ended.wait(5)
    assert why(gather, entries, "/a.png", retries=1, timeout=0.2) == "no answer within 0.2 seconds, tried 2 times"


def test_a_server_that_falls_silent_is_given_up(server, gather, entries):
    def silent(handler):
        handler.answer(200, {}, b"x" * 100, length=1000)
        handler.server.ended.wait(5)

    server.pages["/a.png"] = silent
    assert why(gather, entries, "/a.png", retries=0, timeout=0.2) == "nothing came for 0.2 seconds, after 100 of 1000 bytes"


def test_headers_that_come_letter_by_letter_are_given_up(server, gather, entries):
    def letters(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        while not handler.server.ended.wait(0.05):
            handler.wfile.write(b"x")

    server.pages["/a.png"] = letters
    assert why(gather, entries, "/a.png", retries=0, timeout=0.2) == "no answer within 0.6 seconds"


def test_nobody_listens(server, gather, entries):
    assert why(gather, entries, "http://127.0.0.1:9/a.png", retries=1) == "127.0.0.1 refuses connections, tried 2 times"


@pytest.mark.parametrize("code, name", [(404, "Not Found"), (401, "Unauthorized"), (403, "Forbidden"), (410, "Gone"), (204, "No Content"),
                                        (300, "Multiple Choices")])
def test_a_refusal_is_final(server, gather, entries, code, name):
    server.pages["/a.png"] = status(code)
    assert why(gather, entries, "/a.png") == f"the server answered {code} ({name})"
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504, 599])
def test_trouble_of_the_server_is_tried_again(server, gather, code):
    server.pages["/a.png"] = first(status(code), plain(picture(1)))
    assert gather("/a.png") == DONE
    assert len(server.asked) == 2


@pytest.mark.parametrize("header", ["1", "date"])
def test_retry_after_is_waited_for(server, gather, header):
    times = []

    def page(handler):
        times.append(time.time())
        first(status(429, Retry_After=header if header == "1" else formatdate(time.time() + 2, usegmt=True)), plain(picture(1)))(handler)

    server.pages["/a.png"] = page
    assert gather("/a.png") == DONE
    assert times[1] - times[0] >= 0.9


def test_a_host_that_wants_a_pause_gets_it_from_all_addresses(server, gather):
    times = {}

    def page(handler):
        times.setdefault(handler.path, []).append(time.time())
        plain(picture(len(handler.path)))(handler)

    server.pages = {"/a.png": first(status(429, Retry_After="1"), page)} | {f"/{'b' * count}.png": page for count in range(1, 6)}
    began = time.time()
    assert gather(*server.pages, jobs=1) == DONE
    assert all(when[0] >= began + 0.9 for when in times.values()) and len(times) == 6


def test_a_long_retry_after_is_not_waited_for(server, gather, entries):
    server.pages["/a.png"] = status(503, Retry_After="3600")
    told = why(gather, entries, "/a.png")
    assert told.endswith("the server asks to be left alone for 3600 seconds: run again after that") and "503" in told
    assert len(server.asked) == 1


def test_pauses_grow(server, gather, entries, monkeypatch):
    monkeypatch.setattr(workers, "FIRST_PAUSE", 0.1)
    times = []

    def page(handler):
        times.append(time.time())
        status(500)(handler)

    server.pages["/a.png"] = page
    why(gather, entries, "/a.png", retries=3)
    pauses = np.diff(times)
    assert len(pauses) == 3 and all(pause >= 0.075 * 2 ** index for index, pause in enumerate(pauses))


def test_one_redirect_is_followed(server, gather, files):
    server.pages = {"/a": to("b.png"), "/b.png": plain(picture(1))}
    assert gather("/a") == DONE
    assert list(files()) == ["b.png"]


def test_a_loop_of_redirects_ends(server, gather, entries):
    server.pages = {"/a": to("/b"), "/b": to("/a")}
    assert why(gather, entries, "/a").startswith("more than 10 redirects")
    assert len(server.asked) == 11


@pytest.mark.parametrize("onward", ["file:///etc/passwd", "ftp://localhost/x", "data:image/png;base64,AAAA"])
def test_redirects_lead_nowhere_but_to_the_web(server, gather, files, entries, onward):
    server.pages["/a"] = to(onward)
    assert why(gather, entries, "/a") == f"the server leads to {onward!r}, which is neither http nor https"
    assert not files()


def test_a_redirect_with_an_endless_body_is_followed(server, gather):
    def endless(handler):
        handler.send_response(302)
        handler.send_header("Location", "/b.png")
        handler.end_headers()
        while not handler.server.ended.is_set():
            handler.wfile.write(b" " * 10000)

    server.pages = {"/a": endless, "/b.png": plain(picture(1))}
    assert gather("/a", timeout=1.0) == DONE


@pytest.mark.parametrize("path, headers, name", [
    ("/x/../../evil.png", {}, "evil.png"), ("/%2e%2e%2f%2e%2e%2fevil.png", {}, "evil.png"), ("/..%5C..%5Cevil.png", {}, "evil.png"),
    ("/a.png", {"Content-Disposition": 'attachment; filename="../../evil.png"'}, "evil.png"),
    ("/a.png", {"Content-Disposition": "attachment; filename*=UTF-8''..%2F..%2Fevil.png"}, "evil.png"),
    ("/a.png", {"Content-Disposition": 'attachment; filename="C:\\\\evil.png"'}, "evil.png"),
    ("/a.png", {"Content-Disposition": "inline"}, "a.png"), ("/%00%0A.png", {}, "file.png"), ("/..", {}, "127.0.0.1.png"),
    ("/", {}, "127.0.0.1.png"), ("/.hidden.png", {}, "hidden.png"), ("/con.png", {}, "_con.png"), ("/a.php?x=../../y", {}, "a.png"),
    ("/gather.json", {}, "gather.json.png"), ("/.parts", {}, "parts.png"), ("/gr%C3%BC%C3%9Fe.jpeg", {}, "grüße.png"),
])
def test_names_are_made_safe(server, gather, files, tmp_path, path, headers, name):
    server.pages["*"] = plain(picture(1), **headers)
    assert gather(path) == DONE
    assert files() == {name: picture(1)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "urls.txt"]


def test_the_ending_is_that_of_the_content(server, gather, files, clips):
    server.pages = {"/a.jpg": plain(picture(1)), "/b.png": plain(picture(2, kind="JPEG")), "/c.gif": plain(picture(3, kind="WEBP")),
                    "/d.txt": plain(picture(4, kind="GIF")), "/e.jpg": plain(clips[0].read_bytes())}
    assert gather(*server.pages) == DONE
    assert sorted(files()) == ["a.png", "b.jpg", "c.webp", "d.txt.gif", "e.mp4"]


def test_the_same_content_is_kept_once(server, gather, files, entries):
    server.pages = {"/a.png": plain(picture(1)), "/b.png": plain(picture(1)), "/c.png": plain(picture(2))}
    assert gather(*server.pages) == DONE
    assert sorted(Counter(entry["status"] for entry in entries().values()).items()) == [("done", 2), ("duplicate", 1)]
    assert sorted(files().values()) == sorted([picture(1), picture(2)])


def test_what_lies_in_the_folder_counts_as_the_same_content(server, gather, files, entries, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.png").write_bytes(picture(1))
    server.pages["/a.png"] = plain(picture(1))
    assert gather("/a.png") == DONE
    assert list(files()) == ["mine.png"] and entries()["/a.png"]["file"] == "mine.png"


def test_no_other_file_is_written_over(server, gather, files, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "A.PNG").write_bytes(b"mine")
    server.pages = {"/a.png": plain(picture(1)), "/x/A.png": plain(picture(2))}
    assert gather(*server.pages, jobs=1) == DONE
    assert files() == {"A.PNG": b"mine", "a-2.png": picture(1), "A-3.png": picture(2)}


def test_an_address_that_is_named_twice_is_asked_for_once(server, gather):
    server.pages["/a.png"] = plain(picture(1))
    assert gather("/a.png", "/a.png", "/a.png#here") == DONE
    assert len(server.asked) == 1


def test_what_was_deleted_stays_deleted(server, gather, files, tmp_path):
    server.pages = {"/a.png": plain(picture(1)), "/b.png": plain(picture(1))}
    gather("/a.png")
    (tmp_path / "out" / "a.png").unlink()
    assert gather("/a.png") == DONE
    assert len(server.asked) == 1 and not files()
    assert gather("/a.png", "/b.png") == DONE
    assert not files(), "the same content from elsewhere"


def test_again_fetches_what_was_deleted(server, gather, files, tmp_path):
    server.pages = {"/a.png": plain(picture(1)), "/b.png": plain(picture(2))}
    gather("/a.png", "/b.png")
    (tmp_path / "out" / "a.png").unlink()
    server.asked.clear()
    assert gather("/a.png", "/b.png", again=True) == DONE
    assert [path for path, _ in server.asked] == ["/a.png"]
    assert files() == {"a.png": picture(1), "b.png": picture(2)}


def test_small_files_are_left_out(server, gather, files, entries):
    server.pages = {"/a.png": plain(picture(1, side=40)), "/b.png": plain(picture(2, side=60))}
    assert gather("/a.png", "/b.png", min_side=50) == DONE
    assert list(files()) == ["b.png"]
    assert entries()["/a.png"]["error"] == "40 x 40 pixels, smaller than --min-side 50"
    server.asked.clear()
    assert gather("/a.png", "/b.png", min_side=45) == DONE
    assert not server.asked, "it is still too small"
    assert gather("/a.png", "/b.png", min_side=40) == DONE
    assert sorted(files()) == ["a.png", "b.png"]


def test_only_pictures(server, gather, files, entries, clips):
    server.pages = {"/a.png": plain(picture(1)), "/b.mp4": plain(clips[0].read_bytes())}
    assert gather("/a.png", "/b.mp4", only="pictures") == DONE
    assert list(files()) == ["a.png"]
    assert entries()["/b.mp4"]["status"] == "left out"


def test_a_host_is_asked_for_two_files_at_once_at_most(server, gather):
    lock, active, most = threading.Lock(), [0], [0]

    def page(handler):
        with lock:
            active[0] += 1
            most[0] = max(most[0], active[0])
        time.sleep(0.05)
        with lock:
            active[0] -= 1
        plain(picture(len(handler.path)))(handler)

    server.pages = {f"/{'b' * count}.png": page for count in range(1, 9)}
    assert gather(*server.pages, jobs=8) == DONE
    assert most[0] == 2


def test_without_a_network_each_is_soon_tried_only_once(server, gather, entries, monkeypatch):
    monkeypatch.setattr(workers, "FIRST_PAUSE", 0.0)  # so that no other first tries come between
    with pytest.raises(FaceswapError):
        gather(*[f"http://127.0.0.1:{port}/a.png" for port in range(1, 41)], retries=1)  # where nobody listens
    tried_again = [entry for entry in entries().values() if entry["error"].endswith("tried 2 times")]
    assert len(entries()) == 40 and 10 <= len(tried_again) <= 20


def test_a_host_that_is_down_is_not_asked_for_all_it_has(server, gather, entries):
    server.pages["/a.png"] = plain(picture(1))
    assert gather("/a.png", *[f"http://127.0.0.1:9/{number}.png" for number in range(20)], retries=0) == SOME_FAILED
    told = [entry["error"] for entry in entries().values() if "127.0.0.1:9 could not be reached" in entry.get("error", "")]
    assert 16 <= len(told) <= 17  # two at a time


def test_the_proxy_that_is_set_is_asked(server, gather, files, monkeypatch):
    monkeypatch.setenv("http_proxy", server(""))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.pages["http://example.invalid/a.png"] = plain(picture(1))
    assert gather("http://example.invalid/a.png") == DONE
    assert list(files()) == ["a.png"]


def test_wrong_lines_are_named_and_the_others_fetched(server, gather, files, caplog):
    server.pages["/a.png"] = plain(picture(1))
    assert gather("# mine", "/a.png", "", "ftp://x.org/a.png", "example.com/b.png", "http://x.org/a b.png", "http://", "http://h:x/",
                  "file:///etc/passwd") == SOME_FAILED
    assert list(files()) == ["a.png"]
    for words in ("line 4: 'ftp://x.org/a.png' is neither http nor https", "line 5: 'example.com/b.png' is no address",
                  "line 6: 'http://x.org/a b.png' holds a blank", "line 7: 'http://' names no host", "line 8: 'http://h:x/' is no address",
                  "line 9: 'file:///etc/passwd' is neither"):
        assert words in caplog.text


@pytest.mark.parametrize("content, words", [
    (None, "does not exist"), (b"", "names no address"), (b"# nothing\n\n", "names no address"), (picture(1), "no text in UTF-8"),
    ("http://x.org/a.png".encode("utf-16"), "no text in UTF-8"),
], ids=["missing", "empty", "comments", "picture", "utf-16"])
def test_a_list_that_is_none(tmp_path, faceswap, content, words):
    if content is not None:
        (tmp_path / "urls.txt").write_bytes(content)
    done = faceswap("gather", "-i", tmp_path / "urls.txt", "-o", tmp_path / "out", code=1, no_proxy="*")
    assert done.stderr.count("\n") == 1 and words in done.stderr and not (tmp_path / "out").exists()


def test_a_damaged_report_is_not_written_over(server, gather, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gather.json").write_text("{}")
    with pytest.raises(FaceswapError, match="gather.json is damaged.*Take it away"):
        gather("/a.png")
    assert (tmp_path / "out" / "gather.json").read_text() == "{}"


def test_two_runs_do_not_fill_one_folder(server, gather, tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def page(handler):
        begun.set()
        go_on.wait(10)
        plain(picture(1))(handler)

    server.pages["/a.png"] = page
    thread = threading.Thread(target=gather, args=("/a.png",))
    thread.start()
    begun.wait(10)
    with pytest.raises(FaceswapError, match="Another gather is writing to"):
        gather("/a.png")
    go_on.set()
    thread.join()


def started(list_file: Path, folder: Path) -> subprocess.Popen:
    line = [sys.executable, ROOT / "faceswap.py", "gather", "-i", list_file, "-o", folder, "--timeout", "100"]
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True)


def held(body: bytes, at: int):
    """Sends `at` bytes and waits for what comes."""
    def page(handler):
        handler.answer(200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, body[:at], length=len(body))
        handler.server.ended.wait(100)
    return page


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_gone_on_with(server, gather, files, tmp_path, number):
    server.pages = {"/a.png": plain(picture(1)), "/b.png": first(held(picture(2), 3000), plain(picture(2)))}
    (tmp_path / "urls.txt").write_text("\n".join(map(server, server.pages)))
    running = started(tmp_path / "urls.txt", tmp_path / "out")
    wait_for(lambda: (tmp_path / "out" / "a.png").exists()
             and any(path.stat().st_size == 3000 for path in (tmp_path / "out" / ".parts").glob("*.part")))
    running.send_signal(number)
    told = running.communicate(timeout=600)[1]
    assert running.returncode == (-signal.SIGKILL if number == signal.SIGKILL else INTERRUPTED)
    assert "Traceback" not in told and ("Run the same command again" in told) == (number != signal.SIGKILL)
    assert not (tmp_path / "out" / "b.png").exists()
    assert gather(*server.pages) == DONE
    assert server.ranges("/a.png") == [None] and server.ranges("/b.png") == [None, "bytes=3000-"]
    assert files() == {"a.png": picture(1), "b.png": picture(2)}


def test_ctrl_c_ends_a_pause(server, tmp_path):
    server.pages["/a.png"] = status(503, Retry_After="60")
    (tmp_path / "urls.txt").write_text(server("/a.png"))
    running = started(tmp_path / "urls.txt", tmp_path / "out")
    wait_for(lambda: server.asked)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=600)
    assert running.returncode == INTERRUPTED


@pytest.mark.parametrize("moment", ["before its name", "after its name"])
def test_a_file_that_was_whole_when_the_run_was_killed_is_not_fetched_again(server, gather, files, monkeypatch, moment):
    from lib.gathering import gather as gathering

    class Killed(BaseException):
        pass

    publish = gathering.publish

    def kill(part, path):
        if moment == "after its name":
            publish(part, path)
        raise Killed

    monkeypatch.setattr(gathering, "publish", kill)
    monkeypatch.setattr(reports.Report, "save", lambda report: None)
    server.pages["/a.png"] = plain(picture(1))
    with pytest.raises(Killed):
        gather("/a.png")
    monkeypatch.undo()
    assert gather("/a.png") == DONE
    assert len(server.asked) == 1 and files() == {"a.png": picture(1)}


def test_a_full_disk_is_told_of(server, tmp_path, faceswap, full_disk):
    server.pages["/a.png"] = plain(picture(1, 200))
    (tmp_path / "urls.txt").write_text(server("/a.png"))
    with full_disk(20_000):
        done = faceswap("gather", "-i", tmp_path / "urls.txt", "-o", tmp_path / "out", code=1, no_proxy="*")
    assert "larger than this disk allows" in done.stderr and done.stderr.count("\n") == 1


def test_failures_are_named_and_the_exit_code_says_so(server, tmp_path, faceswap):
    server.pages["/a.png"] = plain(picture(1))
    (tmp_path / "urls.txt").write_text(f"{server('/a.png')}\n{server('/missing.png')}\n")
    done = faceswap("gather", "-i", tmp_path / "urls.txt", "-o", tmp_path / "out", code=SOME_FAILED, no_proxy="*")
    assert f"warning: {server('/missing.png')}: the server answered 404 (Not Found)." in done.stderr
    assert f"1 file in {tmp_path / 'out'}, 1 failed." in done.stderr


def test_a_piece_of_the_rest_is_not_taken_for_all_of_it(server, gather, files):
    body = picture(1)
    untold = cut(body, 1000, Transfer_Encoding="identity")  # so that the length does not count
    server.pages["/a.png"] = first(untold, partial(send_from_where_asked, body=body, count=4000))
    assert gather("/a.png") == DONE
    assert server.ranges("/a.png") == [None, "bytes=1000-", "bytes=5000-"]
    assert files() == {"a.png": body}


def test_a_connection_is_used_again(server, gather):
    connections = set()

    def page(handler):
        handler.protocol_version, handler.close_connection = "HTTP/1.1", False
        connections.add(handler.client_address)
        plain(picture(len(handler.path)))(handler)

    server.pages = {f"/{'b' * count}.png": page for count in range(1, 6)}
    assert gather(*server.pages, jobs=1) == DONE
    assert len(connections) == 1


@pytest.mark.parametrize("headers", [{"ETag": '"a\r\n b"'}, {"Content-Length": "9" * 5000}, {"Content-Length": "-1"}, {"ETag": "é"},
                                     {"Content-Disposition": "attachment; filename*=nonsense''%ff; filename="}, {"Last-Modified": "\x01"},
                                     {"Content-Encoding": "nonsense"}], ids=str)
def test_odd_headers_do_no_harm(server, gather, files, headers):
    def odd(body):
        def page(handler):
            handler.send_response(200)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)
        return page

    server.pages["/a.png"] = first(odd(picture(1)[:3000]), odd(picture(1)))
    assert gather("/a.png") == DONE
    assert files() == {"a.png": picture(1)}


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A server that speaks HTTPS, and its certificate, which nobody has signed."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    alone = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(1)) \
        .add_extension(alone, critical=True).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("secure") / "both.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = Server()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.pages = {"/a.png": plain(picture(1)), "/onward": to("/a.png")}
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server, path
    server.shutdown()
    server.server_close()


def test_https(server, secure, gather, files, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure[1]))
    assert gather(f"https://127.0.0.1:{secure[0].server_port}/a.png") == DONE
    assert files() == {"a.png": picture(1)}


@pytest.mark.parametrize("path, sent", [("/a.png", [True]), ("/onward", [True, False])])
def test_a_password_of_netrc_goes_over_https_alone_and_not_along_a_redirect(server, secure, gather, tmp_path, monkeypatch, path, sent):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure[1]))
    secure[0].asked = []
    server.pages["/a.png"] = plain(picture(2))
    assert gather(f"https://127.0.0.1:{secure[0].server_port}{path}", "/a.png") == DONE
    assert ["Authorization" in headers for _, headers in secure[0].asked] == sent
    assert ["Authorization" in headers for _, headers in server.asked] == [False]


def test_a_certificate_that_nobody_signed_is_refused(server, secure, gather, entries, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert why(gather, entries, f"https://127.0.0.1:{secure[0].server_port}/a.png").startswith("the certificate of 127.0.0.1 is not valid: self")


def test_the_wrong_kind_of_speech_is_tried_again_and_told_of(server, gather, entries):
    told = why(gather, entries, server("/a.png").replace("http:", "https:"), retries=1)
    assert told.startswith("the connection broke off before an answer") and told.endswith("tried 2 times")
