"""Words of others on screens and pages: names of files and signers, answers of servers.

They can move the cursor, hide what stands before them, begin lines of their own, or turn the
direction of writing, so that a reader takes them for words of this program. Whatever is printed,
logged or shown goes through here.
"""

from __future__ import annotations

import html
import re
from typing import TextIO

# Control characters, separators of lines, marks that turn the direction of writing or cannot be
# seen, halves of characters. Joiners (U+200C, U+200D) stay: many languages and most emoji need them.
HARMFUL = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_LINE, _IN_TEXT = re.compile(f"[\t\n{HARMFUL}]"), re.compile(f"[{HARMFUL}]")
SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escaped(text: object) -> str:
    """`text` as one line: harmful characters, tabs and line breaks as \\u001b and \\n."""
    return _IN_LINE.sub(_escape, str(text))


def escaped_lines(text: str) -> str:
    """`text` of several lines, which are its own. JSON stays JSON of the same values."""
    return _IN_TEXT.sub(_escape, text)


def escaped_html(text: object) -> str:
    """`text` as one line inside a page."""
    return html.escape(escaped(text))


def _escape(found: re.Match) -> str:
    if found[0] in SHORT:
        return SHORT[found[0]]
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class EscapedStream:
    """Standard output on which nothing but lines of text appears."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(escaped_lines(text))
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)
