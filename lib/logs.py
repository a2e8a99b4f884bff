"""Where the log goes: readable lines on stderr, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import time


def set_up(style: str = "text", level: int = logging.INFO) -> None:
    """Sends the log to stderr as "text" or "json"."""
    handler = _Json() if style == "json" else _Text()
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("matplotlib", "PIL", "h5py", "libav", "tensorflow", "absl", "jax"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


class _Text(logging.StreamHandler):
    def __init__(self):
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if not sys.stderr.isatty():
            return super().emit(record)
        from tqdm import tqdm  # writes above a running bar instead of through it

        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        tqdm.write(prefix + self.format(record), file=sys.stderr)


class _Json(logging.StreamHandler):
    writes_json = True

    def __init__(self):
        super().__init__(sys.stderr)

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": round(time.time(), 3), "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatter.formatException(record.exc_info) if self.formatter else repr(record.exc_info[1])
        return json.dumps(line | getattr(record, "data", {}), ensure_ascii=False)
