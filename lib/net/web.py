"""Asks web servers, which may do anything: nothing waits for ever, no redirect leads into this
machine or its network, and passwords stay where they belong."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url, get_netrc_auth

from lib.net.answers import Failed, TryAgain, body_length, check_status, explain, one_line
from lib.net.reach import MACHINE, NOWHERE, PUBLIC, Network, reach, written_address

HOPS = 10  # redirects
CHUNK = 1 << 16
SLOW = 2000  # bytes a second: a body that comes more slowly than that ...
SLOW_SECONDS = 60.0  # ... for so long is given up
REDIRECTS = (301, 302, 303, 307, 308)
STOP_INTERVAL = 0.1  # seconds until a waiting thread sees that the run ends
# No coding: ranges would count coded bytes
HEADERS = {"User-Agent": "faceswap", "Accept": "*/*", "Accept-Encoding": "identity"}


class Cancelled(Exception):
    """The run ends."""


class Web:
    """Asks for addresses, one at a time; connections are used again. `stop` ends all waiting."""

    def __init__(self, timeout: float, limit: float, stop: threading.Event | None = None,
                 network: Network | None = None):
        """`timeout`: seconds between two bytes; `limit`: until an answer must have begun, after all
        redirects."""
        self._timeout, self._limit = timeout, limit
        self._stop = stop or threading.Event()
        self._network = network or Network()
        self._asker = _Asker(timeout, self._network)

    def ask(self, address: str, headers: dict[str, str]) -> requests.Response:
        """The answer to `address`, redirects followed, its body not read: 200, 206 or 416.

        Raises Failed, TryAgain and Cancelled.
        """
        answers, is_late, asker = queue.SimpleQueue(), threading.Event(), self._asker

        def ask():
            try:
                answer = asker.follow(address, headers)
                if is_late.is_set():
                    answer.close()
                answers.put(answer)
            except Exception as error:
                answers.put(error)

        # On a thread of its own, which is left alone when it is too late: no time-out covers the
        # looking up of names, and none a server that sends its headers letter by letter.
        threading.Thread(target=ask, daemon=True).start()
        answer = self._wait_for(answers, is_late)
        if isinstance(answer, (requests.RequestException, urllib3.exceptions.HTTPError,
                               ValueError)):
            raise explain(answer, urlsplit(address).hostname, self._timeout) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _wait_for(self, answers: queue.SimpleQueue,
                  is_late: threading.Event) -> requests.Response | Exception:
        end = time.monotonic() + self._limit
        while True:
            try:
                return answers.get(timeout=STOP_INTERVAL)
            except queue.Empty:
                is_over = time.monotonic() > end
                if not (is_over or self._stop.is_set()):
                    continue
            is_late.set()
            self._asker.hang_up()
            self._asker = _Asker(self._timeout, self._network)
            if self._stop.is_set():
                raise Cancelled
            raise TryAgain(f"no answer within {self._limit:g} seconds", unreachable=True)

    def chunks(self, answer: requests.Response, have: int,
               seconds: float = float("inf")) -> Iterator[bytes]:
        """The body of `answer`, before which `have` bytes were there, for `seconds` at most.

        Raises Failed, TryAgain and Cancelled.
        """
        began = since = time.monotonic()
        received, length = 0, body_length(answer)
        total = "" if length is None else f" of {have + length}"
        while True:
            if self._stop.is_set():
                raise Cancelled
            try:  # read() would wait for a whole chunk, however slowly it comes
                chunk = answer.raw.read1(CHUNK, decode_content=True)
            except urllib3.exceptions.ReadTimeoutError:
                raise TryAgain(f"nothing came for {self._timeout:g} seconds, after {have}{total} "
                               "bytes") from None
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                is_usual = isinstance(error, urllib3.exceptions.ProtocolError)
                reason = "" if is_usual else f" ({one_line(error)})"
                raise TryAgain(f"cut off after {have}{total} bytes{reason}") from None
            if not chunk:
                return
            yield chunk
            received, have, now = received + len(chunk), have + len(chunk), time.monotonic()
            is_slow = now - since >= SLOW_SECONDS and received < SLOW * (now - since)
            if is_slow or now - began >= seconds:
                reason = (f"too slow: {received / (now - since):.0f} bytes a second" if is_slow
                          else f"not whole after {seconds:.0f} seconds")
                raise Failed(f"{reason}, {have}{total} bytes so far, which are kept: the next run "
                             "resumes there")
            if now - since >= SLOW_SECONDS:
                since, received = now, 0


class _Asker:
    """Follows redirects. Connections to hosts that a server named are kept apart from those that
    the user named."""

    def __init__(self, timeout: float, network: Network):
        self._timeout, self._network = timeout, network
        self._sessions: dict[int, _Session] = {}
        # Host, port -> how far the address reaches that was connected to
        self._reached: dict[tuple[str, int], int] = {}
        self._sockets: list[socket.socket] = []
        # each goes back to its own domain alone
        self.cookies = requests.cookies.RequestsCookieJar()

    def follow(self, address: str, headers: dict[str, str]) -> requests.Response:
        """The answer after all redirects. Raises Failed, TryAgain, and what requests raises."""
        at_least = NOWHERE  # as far as an address must reach: what the user named may be anywhere
        auth = _auth(address) or _kept_auth(address)
        for _ in range(HOPS + 1):
            if at_least not in self._sessions:
                self._sessions[at_least] = _Session(self, at_least)
            answer = self._sessions[at_least].get(address, headers=headers, stream=True,
                                                  timeout=self._timeout, auth=auth or _no_auth)
            if answer.status_code not in REDIRECTS:
                check_status(answer)
                return answer
            answer.close()  # unread: requests would read it whole, and it may have no end
            target = answer.headers.get("Location")
            if not target:
                raise Failed(f"the server answered {answer.status_code}, but not where to go on")
            parts = urlsplit(answer.url)
            # Behind a proxy nothing is known of where the host is: it counts as public.
            place = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
            at_least = max(at_least, MACHINE, self._reached.get(place, PUBLIC))
            address = urljoin(address, target.encode("latin-1").decode("utf-8", "replace"))
            if not address.lower().startswith(("http://", "https://")):
                raise Failed(f"the server leads to {address!r}, which is neither http nor https")
            # Also where a proxy would connect to it
            _check_literal(urlsplit(address).hostname or "", at_least)
            auth = _auth(address)
        raise Failed(f"more than {HOPS} redirects, the last one to {address}")

    def connect(self, host: str, port: int, at_least: int, **options) -> socket.socket:
        """To the first address of `host` that answers. The address that is checked is the one that
        is connected to: asking for it a second time could give another."""
        addresses = self._network.addresses(host, port)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        allowed = [address for address in addresses if reach(address) >= at_least]
        if not allowed:
            raise _inside(host, addresses[0])
        first_error = None
        for address in allowed:
            try:
                connected = self._network.connect(address, port, **options)
            except OSError as error:
                first_error = first_error or error
                continue
            self._reached[host, port] = reach(address)
            self._sockets = [kept for kept in self._sockets if kept.fileno() >= 0] + [connected]
            return connected
        raise first_error

    def hang_up(self) -> None:
        """Ends what waits on a connection."""
        for connected in self._sockets:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


class _Session(requests.Session):
    """Connects through `asker` to addresses alone that reach `at_least` so far; proxies, set by the
    user, stay."""

    def __init__(self, asker: _Asker, at_least: int):
        super().__init__()
        self.cookies = asker.cookies
        self.headers.update(HEADERS)
        for scheme in ("http://", "https://"):
            adapter = requests.adapters.HTTPAdapter()
            adapter.poolmanager.pool_classes_by_scheme = _pools(asker, at_least)
            self.mount(scheme, adapter)

    def get_redirect_target(self, answer: requests.Response) -> None:
        """None: redirects are followed by _Asker."""


def _pools(asker: _Asker, at_least: int) -> dict[str, type]:
    class Checked:
        def _new_conn(self) -> socket.socket:
            try:
                return asker.connect(self._dns_host, self.port, at_least, timeout=self.timeout,
                                     source_address=self.source_address,
                                     socket_options=self.socket_options)
            except socket.gaierror as error:
                raise urllib3.exceptions.NameResolutionError(self.host, self, error) from error
            except TimeoutError as error:
                raise urllib3.exceptions.ConnectTimeoutError(
                    self, f"no connection to {self.host}") from error
            except OSError as error:
                raise urllib3.exceptions.NewConnectionError(self,
                                                            f"no connection: {error}") from error

    class Plain(Checked, urllib3.connection.HTTPConnection):
        pass

    class Secure(Checked, urllib3.connection.HTTPSConnection):
        pass

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from looking for passwords itself: it would send those of .netrc over http and
    after redirects."""
    return request


def _auth(address: str) -> HTTPBasicAuth | None:
    """The password that is written in `address`, if there is one."""
    name_and_password = get_auth_from_url(address)
    return HTTPBasicAuth(*name_and_password) if any(name_and_password) else None


def _kept_auth(address: str) -> HTTPBasicAuth | None:
    """The password that .netrc holds for the host; for https alone: http can be read on the way."""
    kept = get_netrc_auth(address) if address.lower().startswith("https://") else None
    return HTTPBasicAuth(*kept) if kept else None


def _check_literal(host: str, at_least: int) -> None:
    """Raises Failed if `host` is an address that does not reach so far."""
    address = written_address(host)
    if address and reach(address) < at_least:
        raise _inside(host, address)


def _inside(host: str, address: str) -> Failed:
    place = host if host == address else f"{host} ({address})"
    return Failed(f"the server leads to {place}, which is inside of this machine or its network: "
                  "not asked. If that is meant, write that address into the list itself")
