"""Asking web servers, which may do anything: nothing waits for ever, no redirect leads into this machine or its
network, and passwords stay where they belong.
"""

from __future__ import annotations

import http
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url, get_netrc_auth

HOPS = 10  # redirects
CHUNK = 1 << 16
SLOW = 2000  # bytes a second: a body that comes more slowly than that ...
SLOW_SECONDS = 60.0  # ... for so long is given up
REDIRECTS = (301, 302, 303, 307, 308)
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others later; and all others from 500
TELL_STOP = 0.1  # seconds until a waiting thread sees that the run ends

NOWHERE, MACHINE, LINK, PRIVATE, PUBLIC = range(-1, 4)  # how far an address reaches
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Failed(Exception):
    """Trying again would not help; the message says why."""


class TryAgain(Exception):
    """It may work later, `after` seconds from now at the earliest."""

    def __init__(self, reason: str, after: float = 0.0, unreachable: bool = False):
        super().__init__(reason)
        self.after = after
        self.unreachable = unreachable  # no server answered at all


class Stopped(Exception):
    """The run ends."""


class Network:
    """How the name of a host becomes addresses, and an address a connection: those of this machine."""

    def addresses(self, host: str, port: int) -> list[str]:
        """IPv4 and IPv6 addresses of `host`, the best first. Raises OSError."""
        return list(dict.fromkeys(found[4][0] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))

    def connect(self, address: str, port: int, **options) -> socket.socket:
        """Raises OSError."""
        return urllib3.util.connection.create_connection((address, port), **options)


def reach(address: str) -> int:
    """How far an IP address reaches, from NOWHERE (multicast, reserved) over this MACHINE, its LINK and PRIVATE
    networks to PUBLIC; one of IPv6 that stands for one of IPv4 reaches as far as that. Raises ValueError if it is none.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6:
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return reach(str(inner))
    if ip.is_loopback:
        return MACHINE
    if ip.is_unspecified or ip.is_multicast:
        return NOWHERE
    if ip.is_link_local:
        return LINK
    if ip.is_reserved:
        return NOWHERE
    return PUBLIC if ip.is_global and not getattr(ip, "is_site_local", False) else PRIVATE


class Web:
    """Asks for addresses, one at a time; connections are used again. `stop` ends all waiting with Stopped."""

    def __init__(
        self, timeout: float, limit: float, stop: threading.Event | None = None, network: Network | None = None
    ):
        """`timeout`: seconds between two bytes; `limit`: until an answer must have begun, after all redirects."""
        self._timeout, self._limit = timeout, limit
        self._stop = stop or threading.Event()
        self._network = network or Network()
        self._asker = _Asker(timeout, self._network)

    def ask(self, address: str, headers: dict[str, str]) -> requests.Response:
        """The answer to `address`, redirects followed, its body not read: 200, 206 or 416.

        Raises Failed, TryAgain and Stopped.
        """
        answers = queue.SimpleQueue()
        late = threading.Event()
        asker = self._asker

        def ask():
            try:
                answer = asker.follow(address, headers)
                if late.is_set():
                    answer.close()
                answers.put(answer)
            except Exception as error:
                answers.put(error)

        # On a thread of its own, which is left alone when it is too late: no time-out covers the looking up of names,
        # and none a server that sends its headers letter by letter.
        threading.Thread(target=ask, daemon=True).start()
        end = time.monotonic() + self._limit
        while True:
            try:
                answer = answers.get(timeout=TELL_STOP)
                break
            except queue.Empty:
                if self._stop.is_set() or time.monotonic() > end:
                    late.set()
                    self._asker = _Asker(self._timeout, self._network)
                    asker.hang_up()
                if self._stop.is_set():
                    raise Stopped from None
                if time.monotonic() > end:
                    raise TryAgain(f"no answer within {self._limit:g} seconds", unreachable=True) from None
        if isinstance(answer, (requests.RequestException, urllib3.exceptions.HTTPError, ValueError)):
            raise _meaning(answer, urlsplit(address).hostname, self._timeout) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def chunks(self, answer: requests.Response, have: int, seconds: float = float("inf")) -> Iterator[bytes]:
        """The body of `answer`, before which `have` bytes were there, for `seconds` at most.

        Raises Failed, TryAgain and Stopped.
        """
        began = since = time.monotonic()
        received = 0
        length = body_length(answer)
        of = "" if length is None else f" of {have + length}"
        while True:
            if self._stop.is_set():
                raise Stopped
            try:
                chunk = answer.raw.read1(
                    CHUNK, decode_content=True
                )  # read() would wait for a whole chunk, however slowly it comes
            except urllib3.exceptions.ReadTimeoutError:
                raise TryAgain(f"nothing came for {self._timeout:g} seconds, after {have}{of} bytes") from None
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                is_usual = isinstance(error, urllib3.exceptions.ProtocolError)
                raise TryAgain(
                    f"cut off after {have}{of} bytes" + ("" if is_usual else f" ({one_line(error)})")
                ) from None
            if not chunk:
                return
            yield chunk
            received, have, now = received + len(chunk), have + len(chunk), time.monotonic()
            is_slow = now - since >= SLOW_SECONDS and received < SLOW * (now - since)
            if is_slow or now - began >= seconds:
                reason = (
                    f"too slow: {received / (now - since):.0f} bytes a second"
                    if is_slow
                    else f"not whole after {seconds:.0f} seconds"
                )
                raise Failed(f"{reason}, {have}{of} bytes so far, which are kept: the next run goes on from there")
            if now - since >= SLOW_SECONDS:
                since, received = now, 0


class _Asker:
    """Follows redirects. Connections to hosts that a server named are kept apart from those that the user named."""

    def __init__(self, timeout: float, network: Network):
        self._timeout, self._network = timeout, network
        self._sessions: dict[int, _Session] = {}
        self._reached: dict[tuple[str, int], int] = {}  # host, port -> how far the address reaches that it was found at
        self._sockets: list[socket.socket] = []
        self.cookies = requests.cookies.RequestsCookieJar()  # each goes back to its own domain alone

    def follow(self, address: str, headers: dict[str, str]) -> requests.Response:
        at_least = NOWHERE  # as far as an address must reach: what the user named may be anywhere
        auth = _auth(address) or _kept_auth(address)
        for _ in range(HOPS + 1):
            if at_least not in self._sessions:
                self._sessions[at_least] = _Session(self, at_least)
            answer = self._sessions[at_least].get(
                address, headers=headers, stream=True, timeout=self._timeout, auth=auth or _no_auth
            )
            if answer.status_code not in REDIRECTS:
                _check_status(answer)
                return answer
            answer.close()  # unread: requests would read it whole, and it may have no end
            onward = answer.headers.get("Location")
            if not onward:
                raise Failed(f"the server answered {answer.status_code}, but not where to go on")
            asked = urlsplit(answer.url)
            # Behind a proxy nothing is known of where the host is: it counts as public.
            at_least = max(
                at_least, MACHINE, self._reached.get((asked.hostname, asked.port or _port(asked.scheme)), PUBLIC)
            )
            address = urljoin(address, onward.encode("latin-1").decode("utf-8", "replace"))
            if not address.lower().startswith(("http://", "https://")):
                raise Failed(f"the server leads to {address!r}, which is neither http nor https")
            _check_literal(urlsplit(address).hostname or "", at_least)  # also where a proxy would connect to it
            auth = _auth(address)
        raise Failed(f"more than {HOPS} redirects, the last one to {address}")

    def connect(self, host: str, port: int, at_least: int, **options) -> socket.socket:
        """To the first address of `host` that answers. The address that is checked is the one that is connected to:
        asking for it a second time could give another.
        """
        addresses = self._network.addresses(host, port)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        allowed = [address for address in addresses if reach(address) >= at_least]
        if not allowed:
            raise _inside(host, addresses[0])
        error = None
        for address in allowed:
            try:
                connected = self._network.connect(address, port, **options)
            except OSError as refused:
                error = error or refused
                continue
            self._reached[host, port] = reach(address)
            self._sockets = [kept for kept in self._sockets if kept.fileno() >= 0] + [connected]
            return connected
        raise error

    def hang_up(self) -> None:
        """Ends what waits on a connection."""
        for connected in self._sockets:
            try:
                connected.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _Session(requests.Session):
    """Connects through `asker` to addresses alone that reach `at_least` so far; proxies, set by the user, stay."""

    def __init__(self, asker: _Asker, at_least: int):
        super().__init__()
        self.cookies = asker.cookies
        self.headers.update(
            {"User-Agent": "faceswap", "Accept": "*/*", "Accept-Encoding": "identity"}
        )  # ranges count coded bytes
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
                return asker.connect(
                    self._dns_host,
                    self.port,
                    at_least,
                    timeout=self.timeout,
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                )
            except socket.gaierror as error:
                raise urllib3.exceptions.NameResolutionError(self.host, self, error) from error
            except TimeoutError as error:
                raise urllib3.exceptions.ConnectTimeoutError(self, f"no connection to {self.host}") from error
            except OSError as error:
                raise urllib3.exceptions.NewConnectionError(self, f"no connection: {error}") from error

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
    """Keeps requests from looking for passwords itself: it would send those of .netrc over http and after redirects."""
    return request


def _auth(address: str) -> HTTPBasicAuth | None:
    """The password that is written in `address`, if there is one."""
    own = get_auth_from_url(address)
    return HTTPBasicAuth(*own) if any(own) else None


def _kept_auth(address: str) -> HTTPBasicAuth | None:
    """The password that .netrc holds for the host; for https alone: anybody on the way reads what goes over http."""
    kept = get_netrc_auth(address) if address.lower().startswith("https://") else None
    return HTTPBasicAuth(*kept) if kept else None


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _check_literal(host: str, at_least: int) -> None:
    """Raises Failed if `host` is an address that does not reach so far, however it is written (http://2130706433/)."""
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        try:
            address = socket.inet_ntoa(socket.inet_aton(host))
        except (OSError, UnicodeError):
            if host.rstrip(".").lower() != "localhost" and not host.rstrip(".").lower().endswith(".localhost"):
                return
            address = "127.0.0.1"
    if reach(address) < at_least:
        raise _inside(host, address)


def _inside(host: str, address: str) -> Failed:
    where = host if host == address else f"{host} ({address})"
    return Failed(
        f"the server leads to {where}, which is inside of this machine or its network: not asked. If that is meant, "
        "write that address into the list itself"
    )


def body_length(answer: requests.Response) -> int | None:
    """Bytes of the body that the server promises, where they are the bytes of the file."""
    length = answer.headers.get("Content-Length", "")
    is_plain = not is_coded(answer) and "Transfer-Encoding" not in answer.headers
    return int(length) if is_plain and re.fullmatch(r"[0-9]{1,18}", length) else None


def is_coded(answer: requests.Response) -> bool:
    """Packed although that was not asked for: ranges would be of the packed bytes."""
    return answer.headers.get("Content-Encoding", "identity").lower() not in ("identity", "")


def one_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _check_status(answer: requests.Response) -> None:
    status = answer.status_code
    if status in (200, 206, 416):
        return
    answer.close()
    phrase = (
        http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else answer.reason or "no words"
    )
    said = f"the server answered {status} ({phrase})"
    if status in AGAIN or status >= 500:
        raise TryAgain(said, _retry_after(answer.headers.get("Retry-After")))
    raise Failed(said)


def _retry_after(header: str | None) -> float:
    """Seconds; 0 where the header is not there or says nothing."""
    if header is None:
        return 0.0
    if re.fullmatch(r"\s*[0-9]{1,18}\s*", header):
        return float(header)
    try:
        when = parsedate_to_datetime(header)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):  # also years, and zones, that no calendar has
        return 0.0


def _meaning(error: Exception, host: str | None, timeout: float) -> Failed | TryAgain:
    """What an exception of requests means, in words."""
    chain = list(_chain(error))

    def first(kind: type) -> BaseException | None:
        return next((one for one in chain if isinstance(one, kind)), None)

    if first(requests.exceptions.ProxyError):
        return TryAgain("the proxy that is set for this machine cannot be reached or refuses", unreachable=True)
    if look_up := first(socket.gaierror):
        reason = (
            f"there is no host {host}, or no network"
            if look_up.errno == socket.EAI_NONAME
            else f"the name {host} cannot be looked up: there is no network, or no name server answers"
        )
        return TryAgain(reason, unreachable=True)
    if certificate := first(ssl.SSLCertVerificationError):
        return Failed(f"the certificate of {host} is not valid: {certificate.verify_message}")
    if first(requests.Timeout):
        return TryAgain(f"no answer within {timeout:g} seconds", unreachable=True)
    if first(ConnectionRefusedError):
        return TryAgain(f"{host} refuses connections", unreachable=True)
    told = next((f" ({one.strerror})" for one in chain if isinstance(one, OSError) and one.strerror), "")
    if first(urllib3.exceptions.NewConnectionError):
        return TryAgain(f"{host} cannot be reached{told}", unreachable=True)
    if isinstance(error, requests.ConnectionError):  # of TLS, too
        return TryAgain(f"the connection broke off before an answer{told}")
    return Failed(f"it cannot be asked for: {one_line(error)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was made of, however that is kept."""
    seen = []
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and not any(one is other for other in seen):
            seen.append(one)
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
