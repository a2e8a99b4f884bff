import io
import json
import logging
import unicodedata

import pytest

from lib.system import logs
from lib.words import EscapedStream, escaped, escaped_html, escaped_lines

INVISIBLE = [
    chr(code)
    for code in (
        0,
        7,
        8,
        13,
        27,
        127,
        0x85,
        0x9B,
        0x61C,
        0x200B,
        0x200E,
        0x2028,
        0x2029,
        0x202E,
        0x2066,
        0xFEFF,
        0xD800,
        0xE0041,
    )
]


@pytest.mark.parametrize("letter", [*INVISIBLE, "\n", "\t"], ids=ascii)
def test_nothing_harmful_is_left_of_a_line(letter):
    assert escaped(f"a{letter}b").isprintable() and escaped(f"a{letter}b").isascii()


@pytest.mark.parametrize(
    "text", ["grüße.png", "人.jpg", "می\u200cخواهم", "👩\u200d🚀", "C:\\new\\table", "a\u0301", "a\xa0b"]
)
def test_words_of_people_stay_as_they_are(text):
    assert escaped(text) == escaped_lines(text) == text


def test_every_control_character_and_turning_mark_of_unicode_is_known():
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for letter in map(chr, range(0x110000)):
        if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(letter) in turning:
            assert escaped(letter) != letter, ascii(letter)


def test_lines_of_one_s_own_stay_and_json_keeps_its_values():
    assert escaped_lines("a\n\tb\x1b") == "a\n\tb\\u001b"
    value = {"name": "".join(INVISIBLE) + '\\"\n'}
    assert json.loads(escaped_lines(json.dumps(value, ensure_ascii=False))) == value


def test_pages_show_them_as_text():
    assert escaped_html("<b>\u202e") == "&lt;b&gt;\\u202e"


def test_what_is_printed_is_escaped():
    stream = io.StringIO()
    print("a\x1b[2J\nb", file=EscapedStream(stream))
    assert stream.getvalue() == "a\\u001b[2J\nb\n"


@pytest.mark.parametrize("handler", [logs.TextHandler, logs.JsonHandler])
def test_a_message_of_the_log_is_one_line(handler):
    stream = io.StringIO()
    logger = logging.Logger("test")
    logger.addHandler(handler(stream))
    logger.warning("%s", "a.mp4\nerror: \x1b[31mall is lost\u202e")
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().strip().isprintable()
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        logger.exception("trouble")
    assert "\x1b" not in stream.getvalue() and "Traceback" in stream.getvalue()
