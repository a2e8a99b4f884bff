"""`gather` among hosts of all kinds. All of them are this test's own server on 127.0.0.1: their names and addresses are
made up, and nothing is sent anywhere else.
"""

from __future__ import annotations

import http.server
import io
import json
import socket
import threading
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from lib.gathering.addresses import Listed
from lib.gathering.checking import Wishes
from lib.gathering.gather import gather
from lib.gathering.report import DONE, FAILED
from lib.net import web
from lib.net.reach import Network

PUBLIC, ANOTHER = "93.184.216.34", "2606:2800:220:1::1"


class Hosts(Network):
    """Each host has the addresses that are written here, and all connections lead to the server of the test."""

    def __init__(self, port: int, hosts: dict[str, list[str]]):
        self.port, self.hosts, self.connected = port, hosts, []

    def addresses(self, host: str, port: int) -> list[str]:
        if host in self.hosts:
            return self.hosts[host]
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        except OSError:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        return [host]

    def connect(self, address: str, port: int, **options) -> socket.socket:
        self.connected.append(address)
        return super().connect("127.0.0.1", self.port, **options)


class Handler(http.server.BaseHTTPRequestHandler):
    """/to?ADDRESS leads to ADDRESS; any other path is a picture."""

    def do_GET(self):
        self.server.asked.append((self.headers["Host"], self.path, self.headers.get("Authorization")))
        self.server.cookies.append((self.path, self.headers.get("Cookie")))
        place, _, onward = unquote(self.path).partition("?")
        extra = self.server.headers_of.get(place, {})
        self.send_response(302 if place == "/to" else extra.get("status", 200), extra.get("phrase"))
        for name, value in ({"Location": onward} if place == "/to" else extra).items():
            self.send_header(name, str(value))
        body = b"" if place == "/to" else picture(place)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if place == "/drip":
            for at in range(0, len(body), 60):
                self.wfile.write(body[at : at + 60])
                if self.server.ended.wait(0.05):
                    return
        else:
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def picture(path: str) -> bytes:
    noise = np.random.default_rng(list(path.encode())).integers(0, 256, (48, 48, 3), np.uint8)
    memory = io.BytesIO()
    Image.fromarray(noise).save(memory, "PNG")
    return memory.getvalue()


@pytest.fixture(scope="module")
def running():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.ended, server.handle_error = True, threading.Event(), lambda *request: None
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(running, monkeypatch):
    running.asked, running.cookies, running.headers_of = [], [], {}
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return running


@pytest.fixture
def network(server):
    hosts = {
        "public.test": [PUBLIC],
        "other.test": [ANOTHER],
        "inside.test": ["10.0.0.5"],
        "both.test": ["10.0.0.5", PUBLIC],
        "nas.test": ["192.168.1.5"],
        "localhost": ["127.0.0.1", "::1"],
    }
    return Hosts(server.server_port, hosts)


@pytest.fixture
def fetched(server, network, tmp_path):
    """`fetched("http://public.test/a")` -> what became of each address. Options are those of Wishes."""

    def fetched(*addresses: str, **wishes):
        listed = [Listed(number, address) for number, address in enumerate(addresses, 1)]
        return gather(listed, tmp_path / "out", Wishes(5.0, 10**9, **wishes), 1, 0, False, network)

    return fetched


@pytest.mark.parametrize(
    "onward",
    [
        "http://127.0.0.1/x",
        "http://localhost/x",
        "http://127.9.9.9/x",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/x",
        "http://192.168.1.1/x",
        "http://172.16.0.1/x",
        "http://100.64.0.1/x",
        "http://224.0.0.1/x",
        "http://0.0.0.0/x",
        "http://255.255.255.255/",
        "http://2130706433/x",
        "http://0x7f.1/x",
        "https://127.0.0.1/x",
        "http://inside.test/x",
        "http://[::1]/x",
        "http://[::]/x",
        "http://[fd00::1]/x",
        "http://[fe80::1]/x",
        "http://[ff02::1]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://[64:ff9b::10.0.0.1]/x",
        "http://[2002:7f00:1::]/x",
        "//127.0.0.1/x",
        "http://public.test/to?http://inside.test/x",
        "http://user:word@localhost/x",
    ],
)
def test_no_server_of_the_public_web_leads_inside(server, network, fetched, onward):
    (entry,) = fetched(f"http://public.test/to?{onward}")
    assert entry.status == FAILED and "which is inside of this machine or its network: not asked" in entry.error
    assert set(network.connected) == {PUBLIC} and {host for host, *_ in server.asked} == {"public.test"}


@pytest.mark.parametrize("onward", ["http://other.test/x", f"http://{PUBLIC}/x", "http://both.test/x", "/x"])
def test_servers_of_the_public_web_lead_to_each_other(network, fetched, onward):
    (entry,) = fetched(f"http://public.test/to?{onward}")
    assert entry.status == DONE and set(network.connected) <= {PUBLIC, ANOTHER}


@pytest.mark.parametrize(
    "named",
    [
        "http://inside.test/x",
        "http://127.0.0.1/x",
        "http://nas.test/to?/x",
        "http://nas.test/to?http://inside.test/x",
        "http://localhost/to?http://nas.test/x",
        "http://nas.test/to?http://public.test/x",
    ],
)
def test_what_the_list_names_may_be_inside_and_leads_outwards(fetched, named):
    assert fetched(named)[0].status == DONE


@pytest.mark.parametrize("onward", ["http://localhost/x", "http://public.test/to?http://nas.test/x"])
def test_what_is_inside_leads_no_further_inside(network, fetched, onward):
    assert fetched(f"http://nas.test/to?{onward}")[0].status == FAILED
    assert "127.0.0.1" not in network.connected and network.connected.count("192.168.1.5") == 1


def test_an_open_connection_to_what_the_list_names_is_not_used_for_a_redirect(server, network, fetched):
    good, bad = fetched("http://inside.test/x", "http://public.test/to?http://inside.test/y")
    assert good.status == DONE and bad.status == FAILED
    assert [path for host, path, _ in server.asked if host == "inside.test"] == ["/x"]


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(network, fetched):
    network.hosts["turns.test"] = [PUBLIC]
    look_up, times = network.addresses, []

    def changing(host, port):
        found = look_up(host, port)
        if host == "turns.test":
            times.append(host)
            network.hosts[host] = ["127.0.0.1"]  # from the next time on
        return found

    network.addresses = changing
    assert fetched("http://public.test/to?http://turns.test/x")[0].status == DONE
    assert times == ["turns.test"] and set(network.connected) == {PUBLIC}
    assert fetched("http://public.test/to?http://turns.test/y")[0].status == FAILED


def test_behind_a_proxy_addresses_inside_are_not_asked_for(server, fetched, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "")
    server.headers_of["http://public.test/to"] = {"status": 302, "Location": "http://127.0.0.1:631/x"}
    assert "not asked" in fetched("http://public.test/to")[0].error
    assert [path for _, path, _ in server.asked] == ["http://public.test/to"]


@pytest.mark.parametrize("named", ["http://public.test/x", "http://public.test/to?http://other.test/x"])
def test_no_password_of_netrc_goes_over_http(server, fetched, tmp_path, monkeypatch, named):
    (tmp_path / "netrc").write_text(
        "machine public.test login me password secret\nmachine other.test login me password secret\n"
    )
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetched(named)[0].status == DONE
    assert {word for *_, word in server.asked} == {None}


def test_a_password_in_the_address_goes_to_its_host_alone(server, fetched):
    assert fetched("http://me:secret@public.test/to?http://other.test/x")[0].status == DONE
    assert [(host, bool(word)) for host, _, word in server.asked] == [("public.test", True), ("other.test", False)]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Disposition": "attachment; filename*=undefined''%41"},
        {"Content-Disposition": "attachment; filename*=unicode_escape''%5Cud800"},
        {"status": 503, "Retry-After": "Mon, 01 Jan 99999999999 00:00:00 GMT"},
        {"status": 503, "Retry-After": "Fri, 31 Dec 9999 23:59:59 -9999"},
        {"status": 503, "Retry-After": "9" * 400},
        {"status": 302, "Location": "http://[/"},
        {"Content-Type": "\x00"},
    ],
    ids=str,
)
def test_odd_answers_are_at_most_the_failure_of_their_own_address(server, fetched, headers):
    server.headers_of["/odd"] = headers
    odd, good = fetched("http://public.test/odd", "http://public.test/good")
    assert good.status == DONE
    assert odd.status == DONE if "status" not in headers else odd.error


def test_an_exception_that_nobody_thought_of_is_the_failure_of_its_address(network, fetched, tmp_path):
    look_up = network.addresses

    def broken(host, port):
        if host == "other.test":
            raise ZeroDivisionError("never thought of")
        return look_up(host, port)

    network.addresses = broken
    odd, good = fetched("http://other.test/x", "http://public.test/good")
    assert odd.status == FAILED and odd.error == "it cannot be taken: ZeroDivisionError, never thought of"
    assert good.status == DONE and "ZeroDivisionError" in (tmp_path / "out" / "gather.json").read_text()


def test_a_cookie_goes_along_a_redirect_to_its_own_host_alone(server, fetched):
    server.headers_of["/in"] = {"status": 302, "Location": "/again", "Set-Cookie": "seen=yes"}
    server.headers_of["/again"] = {"status": 302, "Location": "http://other.test/x"}
    assert fetched("http://public.test/in")[0].status == DONE
    assert server.cookies == [("/in", None), ("/again", "seen=yes"), ("/x", None)]


def test_an_unknown_host(fetched):
    assert fetched("http://nobody.test/x")[0].error == "there is no host nobody.test, or no network"


def test_a_body_of_few_kilobytes_a_second_is_given_up(fetched, monkeypatch):
    monkeypatch.setattr(web, "SLOW_SECONDS", 0.5)
    (entry,) = fetched("http://public.test/drip")  # 1200 bytes a second at most
    assert entry.error.startswith("too slow: ") and "the next run resumes there" in entry.error


def test_a_file_that_takes_too_long_is_given_up_and_kept(fetched, tmp_path):
    (entry,) = fetched("http://public.test/drip", seconds=0.3)
    assert entry.error.startswith("not whole after 0 seconds")
    (part,) = Path(tmp_path / "out" / ".parts").glob("*.part")
    assert picture("/drip").startswith(part.read_bytes()) and part.stat().st_size


def test_the_report_holds_no_control_characters_of_a_server(server, fetched, tmp_path):
    server.headers_of["/odd"] = {"status": 499, "phrase": "x\u009b2J"}
    (entry,) = fetched("http://public.test/odd")
    text = (tmp_path / "out" / "gather.json").read_text(encoding="utf-8")
    assert "\u009b" in entry.error and "\u009b" not in text
    assert json.loads(text)["addresses"][0]["error"] == entry.error
