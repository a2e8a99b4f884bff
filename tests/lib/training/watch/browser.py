"""A real browser without a window, driven over a pipe as its developer tools are."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell", "microsoft-edge")


def find() -> str | None:
    """The command of a browser that this can drive."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab. Raises TimeoutError where the browser does not answer or something awaited does not come."""

    def __init__(self, command: str, profile: Path):
        theirs, ours_out = self._high(os.pipe())
        ours_in, answers = self._high(os.pipe())
        arguments = [command, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
                     "--remote-debugging-pipe", f"--user-data-dir={profile}", "--window-size=1000,1300", "about:blank"]
        self._process = os.posix_spawn(command, arguments, os.environ, setpgroup=0, file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs, 3), (os.POSIX_SPAWN_DUP2, answers, 4)])
        os.close(theirs)
        os.close(answers)
        self._out, self._in, self._numbers, self._session = os.fdopen(ours_out, "wb", 0), os.fdopen(ours_in, "rb"), itertools.count(1), None
        os.set_blocking(self._in.fileno(), False)
        self._buffer = b""
        target = next(one for one in self._call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def value(self, script: str) -> Any:
        """What an expression is in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 20) -> None:
        """Until an expression is true in the page."""
        end = time.monotonic() + seconds
        while not self.value(script):
            if time.monotonic() > end:
                raise TimeoutError(f"{script}: {self.value('document.body.innerText')}")
            time.sleep(0.05)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def close(self) -> None:
        self._out.close()
        self._in.close()
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)

    @staticmethod
    def _high(pair: tuple[int, int]) -> list[int]:
        """The same pipe at numbers that the browser's own 3 and 4 do not meet."""
        moved = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in pair]
        for one in pair:
            os.close(one)
        return moved

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": self._session} if self._session else {})
        self._out.write(json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 600
        while time.monotonic() < end:
            head, found, rest = self._buffer.partition(b"\0")
            if found:
                self._buffer = rest
                answer = json.loads(head)
                if answer.get("id") == number:
                    assert "error" not in answer, answer
                    return answer["result"]
                continue
            more = self._in.read()
            if more == b"":
                raise TimeoutError("the browser has ended")
            self._buffer += more or b""
            if more is None:
                time.sleep(0.01)
        raise TimeoutError(method)
