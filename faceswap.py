#!/usr/bin/env python3
"""faceswap: put one person's face on another, in photos and videos.

Reads the subcommand, runs scripts/<subcommand>.py, and prints errors that a user can fix.
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("faceswap needs Python 3.11 or newer; this is " + sys.version.split()[0])

SCRIPTS = Path(__file__).resolve().parent / "scripts"


def main(argv: list[str]) -> int:
    from lib.errors import INTERRUPTED, FaceswapError, UsageError

    try:
        if not argv or argv[0] in ("-h", "--help", "help"):
            print(_overview())
            return 0
        return _run(argv[0], argv[1:])
    except FaceswapError as error:
        _report(str(error), argv)
        return error.exit_code
    except KeyboardInterrupt:
        _report("Interrupted. Run the same command again to go on.", argv)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _run(command: str, argv: list[str]) -> int:
    import importlib

    from lib import cli, logs, options
    from lib.errors import UsageError

    path = SCRIPTS / f"{command}.py"
    names = _commands()
    if command not in names:
        raise UsageError(f"There is no command {command!r}." + options.nearest(command, names)
                         + f" Commands: {', '.join(names)}.")
    declaration = _declaration(path)
    values = cli.parse(command, declaration, argv)
    logs.set_up("json" if _wants_json(argv) else "text")
    module = importlib.import_module(f"scripts.{command}")
    return module.run(getattr(module, declaration.name)(**values))


def _declaration(path: Path):
    from lib import options

    return options.declarations(path)[-1]


def _commands() -> list[str]:
    return sorted(path.stem for path in SCRIPTS.glob("*.py") if not path.stem.startswith("_"))


def _overview() -> str:
    lines = [f"  {name:11} {_declaration(SCRIPTS / f'{name}.py').summary}" for name in _commands()]
    return "\n".join([__doc__.split("\n")[0], "", "usage: faceswap.py COMMAND [options]", "", *lines, "",
                      "faceswap.py COMMAND --help lists the options of a command."])


def _wants_json(argv: list[str]) -> bool:
    return "--log=json" in argv or ("--log" in argv and argv[argv.index("--log") + 1:][:1] == ["json"])


def _report(message: str, argv: list[str]) -> None:
    if _wants_json(argv):
        import json

        message = json.dumps({"level": "error", "message": message}, ensure_ascii=False)
    else:
        message = f"error: {message}"
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
