"""The page that shows a training while it runs, over HTTP and in a real browser where there is one."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.training.watch import report
from lib.training.watch.page import Page
from lib.training.watch.preview import write_png

LINE = "iteration 12000  loss a 0.0213 b 0.0198  31.4 it/s  2010 images/s  0:12:33 left"
ROW = {"iteration": 12000, "a": 0.0213, "b": 0.0198, "speed": 31.4}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model's folder with a preview and a report."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "options.json").write_text(json.dumps({"model": "compact", "options": {}}))
    (folder / "log.jsonl").write_text(json.dumps(ROW) + "\n")
    write_png(folder / "preview.png", np.full((80, 240, 3), (200, 30, 30), np.uint8))
    report.write(folder)
    return folder


@pytest.fixture
def page(folder) -> Iterator[Page]:
    with Page(folder) as page:
        yield page


def get(page: Page, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return request(page, urllib.request.Request(page.url + path, headers=headers))


def post(page: Page, body: bytes, path: str = "ask", **headers: str) -> tuple[int, dict[str, str], bytes]:
    return request(page, urllib.request.Request(page.url + path, body, {"X-Token": token(page)} | headers))


def request(page: Page, asked: urllib.request.Request) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def token(page: Page) -> str:
    return re.search(rb'TOKEN="([^"]+)"', get(page, "")[2])[1].decode()


def status(page: Page) -> dict:
    return json.loads(get(page, "status.json")[2])


def test_status_is_what_was_told_last(page):
    assert status(page)["line"] == ""
    page.tell({"iteration": 11000}, "before")
    page.tell(ROW | {"progress": {"distance_b": np.float32(0.5), "eyes_error": float("nan")}}, LINE)
    found = status(page)
    assert (found["line"], found["row"]) == (LINE, ROW | {"progress": {"distance_b": 0.5, "eyes_error": None}})
    assert 0 <= found["age"] < 5


def test_serves_what_lies_in_the_folder(page, folder):
    for name, kind in (("preview.png", "image/png"), ("report.html", "text/html; charset=utf-8")):
        code, headers, data = get(page, name)
        assert (code, headers["Content-Type"], data) == (200, kind, (folder / name).read_bytes())
    assert get(page, "preview.png?123")[0] == 200
    assert get(page, "loss.png")[0] == 404  # not made yet


def test_a_report_from_elsewhere_is_kept_apart(page):
    assert get(page, "report.html")[1]["Content-Security-Policy"].startswith("sandbox")


def test_marks_of_pictures_change_with_them(page, folder):
    before = status(page)
    assert before["preview"] and before["loss"] is None and before["report"]
    assert status(page)["preview"] == before["preview"]
    write_png(folder / "preview.png", np.zeros((8, 8, 3), np.uint8))
    assert status(page)["preview"] != before["preview"]
    (folder / "preview.png").unlink()
    assert status(page)["preview"] is None


@pytest.mark.parametrize("path", ["options.json", "log.jsonl", "../model/preview.png", "%2e%2e/model/preview.png", "preview.png/",
                                  "etc/passwd", "..%2f..%2fetc/passwd", "favicon.ico", "ask", "//etc/passwd"])
def test_serves_nothing_else(page, path):
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
    connection.request("GET", f"/{page.url.split('/')[3]}/{path}")  # as it stands: urllib would tidy it
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.parametrize("path", ["/", "/status.json", "/preview.png", "/report.html", "//", "/x/", "/x/status.json", "/{near}/"])
def test_who_does_not_know_its_whole_address_sees_and_stops_nothing(page, path):
    """Another user of the machine."""
    path = path.format(near=page.url.split("/")[3][:-1])
    root = f"http://127.0.0.1:{page.port}"
    code, _, data = request(page, urllib.request.Request(root + path))
    assert code == 404 and b"TOKEN" not in data and page.url.encode() not in data
    assert request(page, urllib.request.Request(root + path + "ask", b'{"what": "stop"}', {"X-Token": token(page)}))[0] == 404
    assert page.take() == set()


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
@pytest.mark.parametrize("name", ["preview.png", "loss.png", "report.html"])
def test_links_and_pipes_are_not_served(page, folder, tmp_path, name):
    (tmp_path / "secret").write_text("mine")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "secret")
    assert get(page, name)[0] == 404 and not status(page)[name.partition(".")[0]]
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert get(page, name)[0] == 404 and not status(page)[name.partition(".")[0]]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""])
def test_other_hosts_are_turned_away(page, host):
    host = host.format(port=page.port)
    for path in "", "status.json", "preview.png":
        code, _, data = get(page, path, Host=host)
        assert code == 403 and b"Open the address that train printed" in data and b"TOKEN" not in data
        assert page.url.split("/")[3].encode() not in data
    code, *_ = post(page, b'{"what": "stop"}', Host=host)
    assert code == 403 and page.take() == set()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_names_of_this_machine_are_let_in(page, host):
    assert get(page, "status.json", Host=f"{host}:{page.port}")[0] == 200


def test_no_other_site_may_read(page):
    for path in "", "status.json", "preview.png", "report.html":
        headers = get(page, path, Origin="http://evil.example")[1]
        assert not any(name.lower().startswith("access-control") for name in headers)
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_only_this_machine_is_served(page):
    assert page.url.startswith(f"http://127.0.0.1:{page.port}/")
    with pytest.raises(OSError):  # another address of the same machine
        socket.create_connection(("127.0.0.2", page.port), timeout=5)


def test_wishes_are_taken_once(page):
    assert page.take() == set()
    for what in ("save", "preview", "save"):
        assert post(page, json.dumps({"what": what}).encode())[0] == 200
    assert status(page)["asked"] == ["preview", "save"]
    assert page.take() == {"save", "preview"} and page.take() == set()
    post(page, b'{"what": "stop"}')
    assert page.take() == {"stop"}


@pytest.mark.parametrize("body, code", [(b"", 400), (b"stop", 400), (b'{"what": "rm"}', 400), (b'{"what": ["stop"]}', 400),
                                        (b'["stop"]', 400), (b"[" * 900, 400), (b"\xff", 400),
                                        (b'{"what": "stop", "and": "%s"}' % (b"x" * 2000), 413)])
def test_other_wishes_are_refused(page, body, code):
    assert post(page, body)[0] == code
    assert page.take() == set()


def test_a_wish_needs_the_token_of_this_page(page, folder):
    with Page(folder) as other:
        strange = token(other)
    for headers in ({"X-Token": ""}, {"X-Token": "no"}, {"X-Token": "\xff"}, {"X-Token": strange}, {"Origin": "http://evil.example"},
                    {"Origin": "null"}):
        assert post(page, b'{"what": "stop"}', **headers)[0] == 403
    assert request(page, urllib.request.Request(page.url + "ask", b'{"what": "stop"}'))[0] == 403
    assert post(page, b'{"what": "stop"}', path="")[0] == 404
    assert page.take() == set()
    assert post(page, b'{"what": "stop"}', Origin=f"http://127.0.0.1:{page.port}")[0] == 200


def test_names_are_no_markup(folder):
    odd = folder.rename(folder.with_name("<script>alert(1)<"))
    with Page(odd) as page:
        text = get(page, "")[2].decode()
    assert text.count("<script>") == 1 and "&lt;script&gt;alert(1)&lt;" in text


def test_a_port_that_is_taken(page, folder):
    for port in page.port, 70_000:
        with pytest.raises(FaceswapError, match=f"port {port}: .*Choose another port"):
            Page(folder, port)


def test_a_port_is_free_again_after_closing(folder):
    with Page(folder) as page:
        get(page, "status.json")
    with Page(folder, page.port) as again:
        assert again.port == page.port and get(again, "status.json")[0] == 200


def test_closing_leaves_nothing_behind(folder):
    before, handles = set(threading.enumerate()), open_handles()
    for _ in range(3):
        page = Page(folder)
        get(page, "")
        silent = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(3)]  # a browser holds some in reserve
        silent[0].sendall(b"POST /ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf")
        get(page, "status.json")  # the others have been accepted before it
        page.close()
        page.close()
        for one in silent:
            one.close()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", page.port), timeout=5)
    assert set(threading.enumerate()) == before
    assert open_handles() == handles


def open_handles() -> int | None:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else None


def test_a_browser_that_goes_away_is_no_error(page, capfd, caplog):
    caplog.set_level(logging.INFO)
    with socket.create_connection(("127.0.0.1", page.port)) as one:
        one.sendall(b"GET / HTTP/1.1\r\n")
    with socket.create_connection(("127.0.0.1", page.port)) as one:
        one.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
    assert get(page, "")[0] == 200
    assert capfd.readouterr().err == "" and not caplog.records


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    pytest.importorskip("fcntl", reason="drives a browser over POSIX pipes")
    from browser import NAMES, Browser, find

    command = find()
    if command is None:
        pytest.skip(f"needs a browser on PATH: {', '.join(NAMES)}")
    browser = Browser(command, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def test_the_page_refreshes_itself(page, folder, browser):
    browser.open(page.url)
    browser.wait("document.body.innerText.includes('Nothing has been reported yet')")
    browser.wait("preview.naturalWidth === 240 && !preview.hidden && loss.hidden && !report.hidden")
    page.tell(ROW, LINE)
    browser.wait("document.body.innerText.includes('iteration 12000') && document.title.startsWith('0:12:33 left')")
    assert browser.value("[...parts.children].map(part => part.innerText)") == LINE.split("  ")
    page.tell(ROW, "iteration <b>12500</b>")
    browser.wait("parts.innerText === 'iteration <b>12500</b>'")  # text, no markup

    before = browser.value("preview.src")
    write_png(folder / "preview.png", np.full((60, 120, 3), (30, 30, 200), np.uint8))
    write_png(folder / "loss.png", np.full((50, 90, 3), (30, 200, 30), np.uint8))
    browser.wait("preview.naturalWidth === 120 && loss.naturalWidth === 90 && !loss.hidden")
    assert browser.value("preview.src") != before


def test_a_picture_is_fetched_only_when_it_changed(page, browser):
    browser.open(page.url)
    browser.wait("preview.naturalWidth === 240")
    told = "performance.getEntriesByType('resource').filter(one => one.name.includes('{}')).length"
    seen = browser.value(told.format("status.json"))
    browser.wait(f"{told.format('status.json')} >= {seen + 2}")
    assert browser.value(told.format("preview.png")) == 1


def test_buttons_ask(page, browser):
    browser.open(page.url)
    for what, words in (("save", "Save now"), ("preview", "Make preview now"), ("stop", "Stop")):
        assert browser.value(f"document.querySelector('button[name={what}]').innerText") == words
        browser.value(f"document.querySelector('button[name={what}]').click()")
        browser.wait(f"news.innerText.includes('{what}') && document.querySelector('button[name={what}]').disabled")
        assert page.take() == {what}
    browser.wait("buttons.every(button => !button.disabled)")  # taken: they may be asked for again


def test_the_page_says_when_the_training_has_ended(folder, browser):
    with Page(folder) as page:
        page.tell(ROW, LINE)
        browser.open(page.url)
        browser.wait("document.body.innerText.includes('iteration 12000')")
    browser.wait("document.body.innerText.includes('has ended') && buttons.every(button => button.disabled)")
    assert browser.value("parts.innerText").startswith("iteration 12000")


def test_the_slider_of_the_report_flips_through_the_frames(folder, browser, page):
    (folder / "timelapse").mkdir()
    for number in range(1, 5):
        cv2.imwrite(str(folder / "timelapse" / f"{100 * number:08d}.jpg"), np.full((20, 20 * number, 3), 99, np.uint8))
    report.write(folder)
    shown = "[...document.querySelectorAll('#frames figure')].filter(one => one.offsetWidth).map(one => one.innerText)"
    for url in ((folder / "report.html").as_uri(), page.url + "report.html"):
        browser.open(url)
        assert browser.value(shown) == ["iteration 400"]
        browser.value("range.value = 1; range.dispatchEvent(new Event('input'))")
        assert browser.value(shown) == ["iteration 200"]
        assert browser.value("[...document.images].every(one => one.complete && one.naturalWidth)")
