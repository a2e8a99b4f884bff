"""Where the log goes: readable lines on stderr, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Sequence

from lib.words import escaped, escaped_lines

NOISY = ("matplotlib", "PIL", "h5py", "libav", "tensorflow", "absl", "jax", "py.warnings",
         "urllib3")


def set_up(style: str = "text", level: int = logging.INFO) -> None:
    """Sends the log to stderr as "text" or "json", and quietens the libraries."""
    handler = JsonHandler(sys.stderr) if style == "json" else TextHandler(sys.stderr)
    logging.basicConfig(level=level, handlers=[handler], format="%(message)s", force=True)
    logging.captureWarnings(True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # read when the libraries are imported, which is later
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")


def is_json() -> bool:
    """Whether the log is written as JSON lines."""
    return any(isinstance(handler, JsonHandler) for handler in logging.getLogger().handlers)


def json_line(**fields) -> str:
    """One line of the JSON log: the time and `fields`."""
    return escaped_lines(json.dumps({"time": round(time.time(), 3)} | fields, ensure_ascii=False,
                                    default=str))


def counted(number: int, what: str) -> str:
    """ "1 face", "2 faces"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def duration(seconds: float) -> str:
    """"1 h 5 min", "2 min 30 s" or "7 s"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def listed(names: Sequence[str], most: int = 10) -> str:
    """ "a, b and 3 more": at most so many of `names`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


class TextHandler(logging.StreamHandler):
    """The message alone, one line; a warning or an error says so in front. Writes above a running
    progress bar."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        message = prefix + escaped(record.getMessage())
        if record.exc_info:
            message += "\n" + escaped_lines(logging.Formatter().formatException(record.exc_info))
        return message

    def emit(self, record: logging.LogRecord) -> None:
        if "tqdm" in sys.modules:  # else no bar can be running
            from tqdm import tqdm

            with tqdm.external_write_mode(self.stream):
                super().emit(record)
        else:
            super().emit(record)


class JsonHandler(logging.StreamHandler):
    """An object a line: time, level, message, and the fields of `extra={"data": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        return json_line(**fields | getattr(record, "data", {}))
