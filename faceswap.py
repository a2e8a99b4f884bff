#!/usr/bin/env python3
"""faceswap: put one person's face on another, in photos and videos.

Reads the subcommand, runs scripts/<subcommand>.py, and prints errors that a user can fix.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import traceback

if sys.version_info < (3, 11):  # noqa: UP036  an older Python must hear of it in one line
    sys.exit("faceswap needs Python 3.11 or newer; this is " + sys.version.split()[0])

from lib.command import parsing
from lib.errors import DONE, FIXABLE, INTERRUPTED, FaceswapError, UsageError, trouble_with_machine
from lib.options import nearest
from lib.system import logs
from lib.words import EscapedStream, escaped, escaped_lines


def main(argv: list[str]) -> int:
    _save_on_signals()
    for stream in sys.stdout, sys.stderr:
        stream.reconfigure(errors="backslashreplace")  # a file name that the terminal cannot show must not end a run
    sys.stdout, sys.excepthook = EscapedStream(sys.stdout), _print_traceback
    threading.excepthook = lambda error: _print_traceback(*error[:3])
    try:
        if not argv or argv[0] in ("-h", "--help", "help"):
            print(_overview())
            return DONE
        code = _run(argv[0], argv[1:])
        sys.stdout.flush()  # here, where a full disk or a closed pipe is told
        return code
    except FaceswapError as error:
        _report("error", str(error), argv)
        return error.exit_code
    except KeyboardInterrupt:
        _report("interrupted", "Run the same command again to go on.", argv)
        return INTERRUPTED
    except BrokenPipeError:  # `faceswap.py plugins | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        options = [option.name for option in parsing.declaration(argv[0]).options] if argv[0] in parsing.commands() else ()
        message = trouble_with_machine(error, options)
        if message is None:
            raise
        _report("error", message, argv)
        return FIXABLE


def _run(command: str, argv: list[str]) -> int:
    if command not in parsing.commands():
        raise UsageError(f"There is no command {command!r}.{nearest(command, parsing.commands())} "
                         f"Commands: {', '.join(parsing.commands())}.")
    declaration = parsing.declaration(command)
    values = parsing.parse(command, declaration, argv)
    logs.set_up("json" if _wants_json(argv) else "text")
    try:
        module = importlib.import_module(f"scripts.{command}")
        return module.run(getattr(module, declaration.name)(**values))
    except Exception as error:
        if _is_interruption(error):
            raise KeyboardInterrupt from error
        raise


def _is_interruption(error: BaseException | None) -> bool:
    """Whether `error` was made of a KeyboardInterrupt: modules written in C answer an interrupted import with an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def _overview() -> str:
    lines = [f"  {name:11} {parsing.declaration(name).summary}" for name in parsing.commands()]
    return "\n".join([__doc__.split("\n")[0], "", "usage: faceswap.py COMMAND [options]", "", *lines, "",
                      "faceswap.py COMMAND --help lists the options of a command."])


def _save_on_signals() -> None:
    """SIGTERM saves and leaves as Ctrl-C does; a second signal ends the run at once."""
    watched = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]

    def interrupt(number, frame):
        for other in watched:
            signal.signal(other, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number in watched:
        signal.signal(number, interrupt)


def _wants_json(argv: list[str]) -> bool:
    return "--log=json" in argv or ("--log", "json") in zip(argv, argv[1:])


def _report(level: str, message: str, argv: list[str]) -> None:
    told = {"level": level, "message": message}
    line = escaped_lines(json.dumps(told, ensure_ascii=False)) if _wants_json(argv) else f"{level}: {escaped(message)}"
    print(line, file=sys.stderr, flush=True)


def _print_traceback(*error) -> None:
    print(escaped_lines("".join(traceback.format_exception(*error))), file=sys.stderr, end="", flush=True)


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and said: Ctrl-C has nothing to break off
    sys.exit(exit_code)
