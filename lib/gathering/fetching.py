"""One try to download one address into its part file, resuming what is there. Servers may do
anything; nothing here waits for ever."""

from __future__ import annotations

import re
import threading
from contextlib import closing
from dataclasses import replace

import requests

from lib.files.writing import disk_errors, open_append
from lib.gathering.checking import HEAD, Refused, Wishes, kind_of
from lib.gathering.names import offered_name
from lib.gathering.parts import Note, Part
from lib.net.answers import Failed, TryAgain, body_length, is_coded
from lib.net.reach import Network
from lib.net.web import Web

ANSWER = 3  # times the time-out between two bytes, until an answer must have begun


class Fetcher:
    """Fetches for one thread."""

    def __init__(self, wishes: Wishes, stop: threading.Event, network: Network | None = None):
        self._wishes = wishes
        self._web = Web(wishes.timeout, ANSWER * wishes.timeout, stop, network)

    def fetch(self, part: Part, seconds: float) -> bool:
        """Appends to `part` what it lacks, for `seconds` at most. Returns whether all of it is
        surely of one file.

        Raises Failed, TryAgain, Cancelled, Refused, Unwanted, and FaceswapError where the disk
        refuses.
        """
        note, have = part.note, part.size
        if note is None or not note.can_go_on or (note.total is not None and have > note.total):
            part.discard()
            note, have = None, 0
        if have and have == note.total:
            return False
        answer = self._web.ask(part.address, _headers(note, have))
        note = _note_of_rest(answer, note, have) if have else None
        if have and note is None:  # it has changed, or the server has no ranges, or wrong ones
            if answer.status_code != 200:
                answer.close()
                answer = self._web.ask(part.address, {})
            part.discard()
            have = 0
        with closing(answer):
            if note is None and answer.status_code != 200:
                raise Failed(f"the server answered {answer.status_code} to a plain question")
            note = note or _note(part, answer)
            self._check_size(note.total)
            part.write_note(note)
            self._receive(answer, part, have, seconds)
        size = part.size
        if note.total is not None and size != note.total:
            raise TryAgain(f"cut off after {size} of {note.total} bytes")
        return not have and note.total is not None

    def _receive(self, answer: requests.Response, part: Part, have: int, seconds: float) -> None:
        kind = None
        with disk_errors(part.path), open_append(part.path, buffering=0) as file:
            for chunk in self._web.chunks(answer, have, seconds):
                file.write(chunk)
                have += len(chunk)
                if kind is None and have >= HEAD:  # before gigabytes of something else come
                    kind = kind_of(part.path)
                    self._wishes.check(kind)
                self._check_size(have)

    def _check_size(self, size: int | None) -> None:
        if size is not None and size > self._wishes.bytes:
            raise Refused(f"larger than {self._wishes.bytes / 1e6:g} MB. Raise --max-size to "
                          "download it")


def _headers(note: Note | None, have: int) -> dict[str, str]:
    """Those that ask for the rest of a file of which `have` bytes are there, or for all of it if it
    has changed."""
    if not have:
        return {}
    strong = note.etag if note.etag and not note.etag.startswith("W/") else None
    unchanged = strong or note.modified
    return {"Range": f"bytes={have}-"} | ({"If-Range": unchanged} if unchanged else {})


def _note(part: Part, answer: requests.Response) -> Note:
    name = offered_name(answer.url, answer.headers.get("Content-Disposition"))
    return Note(part.address, name, _mark(answer, "ETag"), _mark(answer, "Last-Modified"),
                body_length(answer), not is_coded(answer))


def _note_of_rest(answer: requests.Response, note: Note, have: int) -> Note | None:
    """`note`, with what this answer adds to it, if the answer holds the bytes from `have` on of the
    same file; else None."""
    match = re.fullmatch(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)",
                         answer.headers.get("Content-Range", "").strip())
    if answer.status_code != 206 or not match or int(match[1]) != have or is_coded(answer):
        return None
    marks = (note.etag, _mark(answer, "ETag")), (note.modified, _mark(answer, "Last-Modified"))
    has_changed = any(old and new and old != new for old, new in marks)
    total = note.total if match[3] == "*" else int(match[3])
    return None if has_changed or note.total not in (None, total) else replace(note, total=total)


def _mark(answer: requests.Response, header: str) -> str | None:
    """The value of a header that changes with the file, if it is one that can be sent back."""
    value = answer.headers.get(header, "")
    return value if re.fullmatch(r'(W/)?"[\x21\x23-\xff]*"|[A-Za-z0-9 ,:+-]+', value) else None
