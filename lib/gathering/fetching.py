"""One try to fetch one address into its part file, going on from what is there. Servers may do anything; nothing here waits for ever."""

from __future__ import annotations

import email.utils
import http
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from lib.gathering.checking import HEAD, Refused, Wishes, kind_of
from lib.gathering.names import offered_name
from lib.gathering.parts import Note, Part
from lib.media.files import disk_errors

HOPS = 10  # redirects
CHUNK = 1 << 16
ANSWER = 3  # times the time-out between two bytes, until an answer must have begun: looking up the name, redirects and all
SLOW = 1000  # bytes a second: a body that comes more slowly than that ...
SLOW_SECONDS = 60.0  # ... for so long is given up
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others later; and all others from 500
TELL_STOP = 0.1  # seconds until a waiting thread sees that the run ends


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


class Fetcher:
    """Fetches for one thread."""

    def __init__(self, wishes: Wishes, stop: threading.Event):
        self._wishes, self._stop = wishes, stop
        self._session = _Session()

    def fetch(self, part: Part) -> bool:
        """Appends to `part` what it lacks, until it is whole. Returns whether all of it is surely of one and the same file.

        Raises Failed, TryAgain, Stopped, Refused, Unwanted, and FaceswapError where the disk refuses.
        """
        note, have = part.note, part.size
        if note is None or not note.can_go_on or (note.total is not None and have > note.total):
            part.discard()
            note, have = None, 0
        if have and have == note.total:
            return False
        answer = self._ask(part.address, _headers(note, have))
        note = _note_of_rest(answer, note, have) if have else None
        if have and note is None:  # it has changed, or the server knows no ranges, or errs about them
            if answer.status_code != 200:
                answer.close()
                answer = self._ask(part.address, {})
            part.discard()
            have = 0
        with closing(answer):
            if note is None and answer.status_code != 200:
                raise Failed(f"the server answered {answer.status_code} to a plain question")
            note = note or _note(part, answer)
            self._check_size(note.total)
            part.write_note(note)
            self._receive(answer, part, have)
        size = part.size
        if note.total is not None and size != note.total:
            raise TryAgain(f"cut off after {size} of {note.total} bytes")
        return not have and note.total is not None

    def _receive(self, answer: requests.Response, part: Part, have: int) -> None:
        kind = None
        with disk_errors(part.path), open(part.path, "ab", buffering=0) as file:
            for chunk in self._chunks(answer, have):
                file.write(chunk)
                have += len(chunk)
                if kind is None and have >= HEAD:  # before gigabytes of something else come
                    kind = kind_of(part.path)
                    self._wishes.check(kind)
                self._check_size(have)

    def _chunks(self, answer: requests.Response, have: int) -> Iterator[bytes]:
        began, received = time.monotonic(), 0
        length = _length(answer)
        of = "" if length is None else f" of {have + length}"
        while True:
            if self._stop.is_set():
                raise Stopped
            try:
                chunk = answer.raw.read1(CHUNK, decode_content=True)  # read() would wait for a whole chunk, however slowly it comes
            except urllib3.exceptions.ReadTimeoutError:
                raise TryAgain(f"nothing came for {self._wishes.timeout:g} seconds, after {have}{of} bytes") from None
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                is_usual = isinstance(error, urllib3.exceptions.ProtocolError)
                raise TryAgain(f"cut off after {have}{of} bytes" + ("" if is_usual else f" ({_one_line(error)})")) from None
            if not chunk:
                return
            yield chunk
            received, have = received + len(chunk), have + len(chunk)
            if (seconds := time.monotonic() - began) >= SLOW_SECONDS:
                if received < SLOW * seconds:
                    raise Failed(f"too slow: {received / seconds:.0f} bytes a second, {have}{of} bytes so far, which are kept: "
                                 "the next run goes on from there")
                began, received = time.monotonic(), 0

    def _check_size(self, size: int | None) -> None:
        if size is not None and size > self._wishes.bytes:
            raise Refused(f"larger than {self._wishes.bytes / 1e6:g} MB. Raise --max-size if it is to be had")

    def _ask(self, address: str, headers: dict[str, str]) -> requests.Response:
        """The answer to `address`, redirects followed, its body not read. 200, 206 or 416."""
        limit = ANSWER * self._wishes.timeout
        answers = queue.SimpleQueue()
        late = threading.Event()

        def ask():
            try:
                answer = self._follow(address, headers)
                if late.is_set():
                    answer.close()
                answers.put(answer)
            except Exception as error:
                answers.put(error)

        # On a thread of its own, which is left alone when it is too late: no time-out covers the looking up of names, and none a
        # server that sends its headers letter by letter.
        threading.Thread(target=ask, daemon=True).start()
        end = time.monotonic() + limit
        while True:
            try:
                answer = answers.get(timeout=TELL_STOP)
                break
            except queue.Empty:
                if self._stop.is_set() or time.monotonic() > end:
                    late.set()
                    self._session = _Session()
                if self._stop.is_set():
                    raise Stopped from None
                if time.monotonic() > end:
                    raise TryAgain(f"no answer within {limit:g} seconds", unreachable=True) from None
        if isinstance(answer, (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError, ValueError)):
            raise _meaning(answer, urlsplit(address).hostname, self._wishes.timeout) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _follow(self, address: str, headers: dict[str, str]) -> requests.Response:
        for _ in range(HOPS + 1):
            answer = self._session.get(address, headers=headers, stream=True, timeout=self._wishes.timeout)
            if answer.status_code not in (301, 302, 303, 307, 308):
                _check_status(answer)
                return answer
            answer.close()  # unread: requests would read it whole, and it may have no end
            onward = answer.headers.get("Location")
            if not onward:
                raise Failed(f"the server answered {answer.status_code}, but not where to go on")
            address = urljoin(address, onward.encode("latin-1").decode("utf-8", "replace"))
            if not address.lower().startswith(("http://", "https://")):
                raise Failed(f"the server leads to {address!r}, which is neither http nor https")
        raise Failed(f"more than {HOPS} redirects, the last one to {address}")


class _Session(requests.Session):
    def __init__(self):
        super().__init__()
        self.headers.update({"User-Agent": "faceswap", "Accept": "*/*", "Accept-Encoding": "identity"})  # ranges count coded bytes

    def get_redirect_target(self, answer: requests.Response) -> None:
        """None: redirects are followed by Fetcher."""


def _headers(note: Note | None, have: int) -> dict[str, str]:
    """Those that ask for the rest of a file of which `have` bytes are there, or for all of it if it has changed."""
    if not have:
        return {}
    strong = note.etag if note.etag and not note.etag.startswith("W/") else None
    unchanged = strong or note.modified
    return {"Range": f"bytes={have}-"} | ({"If-Range": unchanged} if unchanged else {})


def _note(part: Part, answer: requests.Response) -> Note:
    name = offered_name(answer.url, answer.headers.get("Content-Disposition"))
    return Note(part.address, name, _mark(answer, "ETag"), _mark(answer, "Last-Modified"), _length(answer), not _is_coded(answer))


def _note_of_rest(answer: requests.Response, note: Note, have: int) -> Note | None:
    """`note`, with what this answer adds to it, if the answer holds the bytes from `have` on of the same file; else None."""
    told = re.fullmatch(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", answer.headers.get("Content-Range", "").strip())
    if answer.status_code != 206 or not told or int(told[1]) != have or _is_coded(answer):
        return None
    marks = (note.etag, _mark(answer, "ETag")), (note.modified, _mark(answer, "Last-Modified"))
    total = note.total if told[3] == "*" else int(told[3])
    if note.total not in (None, total) or any(before and now and before != now for before, now in marks):
        return None
    return replace(note, total=total)


def _mark(answer: requests.Response, header: str) -> str | None:
    """The value of a header that changes with the file, if it is one that can be sent back."""
    value = answer.headers.get(header, "")
    return value if re.fullmatch(r'(W/)?"[\x21\x23-\xff]*"|[A-Za-z0-9 ,:+-]+', value) else None


def _length(answer: requests.Response) -> int | None:
    """Bytes of the body that the server promises, where they are the bytes of the file."""
    length = answer.headers.get("Content-Length", "")
    is_plain = not _is_coded(answer) and "Transfer-Encoding" not in answer.headers
    return int(length) if is_plain and re.fullmatch(r"[0-9]{1,18}", length) else None


def _is_coded(answer: requests.Response) -> bool:
    """Packed although that was not asked for: ranges would be of the packed bytes."""
    return answer.headers.get("Content-Encoding", "identity").lower() not in ("identity", "")


def _check_status(answer: requests.Response) -> None:
    status = answer.status_code
    if status in (200, 206, 416):
        return
    answer.close()
    phrase = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else answer.reason or "no words"
    said = f"the server answered {status} ({phrase})"
    if status in AGAIN or status >= 500:
        raise TryAgain(said, _retry_after(answer.headers.get("Retry-After")))
    raise Failed(said)


def _retry_after(header: str | None) -> float:
    """Seconds; 0 where the header is not there or says nothing."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        when = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _meaning(error: Exception, host: str | None, timeout: float) -> Failed | TryAgain:
    """What an exception of requests means, in words."""
    chain = list(_chain(error))

    def first(kind: type) -> BaseException | None:
        return next((one for one in chain if isinstance(one, kind)), None)

    if first(requests.exceptions.ProxyError):
        return TryAgain("the proxy that is set for this machine cannot be reached or refuses", unreachable=True)
    if look_up := first(socket.gaierror):
        reason = f"there is no host {host}, or no network" if look_up.errno == socket.EAI_NONAME else \
            f"the name {host} cannot be looked up: there is no network, or no name server answers"
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
    return Failed(f"it cannot be asked for: {_one_line(error)}")


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


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
