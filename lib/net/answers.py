"""What servers answer, and what goes wrong, in words: whether to try again, and when."""

from __future__ import annotations

import http
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
import urllib3

RETRIED = (408, 425, 429)  # statuses that may be others later; and all from 500


class Failed(Exception):
    """Trying again would not help; the message says why."""


class TryAgain(Exception):
    """It may work later, `after` seconds from now at the earliest."""

    def __init__(self, reason: str, after: float = 0.0, unreachable: bool = False):
        super().__init__(reason)
        self.after = after
        self.unreachable = unreachable  # no server answered at all


def check_status(answer: requests.Response) -> None:
    """Raises Failed or TryAgain unless the status is 200, 206 or 416; then the answer is closed."""
    status = answer.status_code
    if status in (200, 206, 416):
        return
    answer.close()
    is_standard = status in http.HTTPStatus._value2member_map_
    phrase = http.HTTPStatus(status).phrase if is_standard else answer.reason or "no words"
    reason = f"the server answered {status} ({phrase})"
    if status in RETRIED or status >= 500:
        raise TryAgain(reason, _seconds_until(answer.headers.get("Retry-After")))
    raise Failed(reason)


def body_length(answer: requests.Response) -> int | None:
    """Bytes of the body that the server promises, where they are the bytes of the file."""
    length = answer.headers.get("Content-Length", "")
    is_plain = not is_coded(answer) and "Transfer-Encoding" not in answer.headers
    return int(length) if is_plain and re.fullmatch(r"[0-9]{1,18}", length) else None


def is_coded(answer: requests.Response) -> bool:
    """Packed although that was not asked for: ranges would be of the packed bytes."""
    return answer.headers.get("Content-Encoding", "identity").lower() not in ("identity", "")


def one_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def explain(error: Exception, host: str | None, timeout: float) -> Failed | TryAgain:
    """What an exception of requests means, in words."""
    chain = list(_chain(error))

    def first(kind: type) -> BaseException | None:
        return next((cause for cause in chain if isinstance(cause, kind)), None)

    if first(requests.exceptions.ProxyError):
        return TryAgain("the proxy that is set for this machine cannot be reached or refuses",
                        unreachable=True)
    if look_up := first(socket.gaierror):
        reason = (f"there is no host {host}, or no network"
                  if look_up.errno == socket.EAI_NONAME else
                  f"the name {host} cannot be looked up: there is no network, or no name server "
                  "answers")
        return TryAgain(reason, unreachable=True)
    if certificate := first(ssl.SSLCertVerificationError):
        return Failed(f"the certificate of {host} is not valid: {certificate.verify_message}")
    if first(requests.Timeout):
        return TryAgain(f"no answer within {timeout:g} seconds", unreachable=True)
    if first(ConnectionRefusedError):
        return TryAgain(f"{host} refuses connections", unreachable=True)
    reasons = [cause.strerror for cause in chain if isinstance(cause, OSError) and cause.strerror]
    reason = f" ({reasons[0]})" if reasons else ""
    if first(urllib3.exceptions.NewConnectionError):
        return TryAgain(f"{host} cannot be reached{reason}", unreachable=True)
    if isinstance(error, requests.ConnectionError):  # of TLS, too
        return TryAgain(f"the connection broke off before an answer{reason}")
    return Failed(f"it cannot be asked for: {one_line(error)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and its causes, however they are kept."""
    seen, waiting = [], [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and not any(cause is known for known in seen):
            seen.append(cause)
            yield cause
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None),
                        *cause.args]


def _seconds_until(header: str | None) -> float:
    """Of Retry-After; 0 where the header is not there or says nothing."""
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
