"""A live page of the training, served to this machine alone, that also takes
wishes.

All of it lies under a place that nobody can guess, since other people may use the same machine:

    GET /PLACE/               the page, which asks every two seconds what is new
    GET /PLACE/status.json    the last report, and which pictures there are
    GET /PLACE/preview.png, loss.png, report.html    as they lie in the model's folder
    POST /PLACE/ask           {"what": "save"}, "preview" or "stop", with the page's own token
"""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import socket
import socketserver
import stat
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lib.errors import FaceswapError
from lib.files.reading import NotRegular, parse_json, read_bytes
from lib.training.watch.report import document
from lib.words import escaped, escaped_html

logger = logging.getLogger(__name__)

WISHES = {"save": "Save now", "preview": "Make preview now", "stop": "Stop"}
FILES = {"preview.png": "image/png", "loss.png": "image/png",
         "report.html": "text/html; charset=utf-8"}
SILENT = 10.0  # seconds after which a browser that says nothing is let go
LONGEST = 1000  # bytes of a wish
NOTHING = "There is nothing here. Open the address that train printed, all of it."
ALONE = "frame-ancestors 'none'"
APART = "sandbox allow-scripts allow-popups"  # a report from elsewhere reads no token of ours
STYLE = """<style>#parts{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;
font-variant-numeric:tabular-nums;font-size:1.05rem}
button{font:inherit;padding:.35rem .9rem;margin:0 .5rem .5rem 0}#news{color:inherit;opacity:.75}
#loss{max-width:min(100%,54rem)}</style>"""
BODY = """<div id=parts role=status>Nothing has been reported yet.</div>
<p><small id=news></small></p>
<p>{buttons} <a id=report href=report.html target=_blank rel=noopener hidden>Report</a></p>
<div class=sheet>
<img id=preview alt="Faces of A and B: the original, rebuilt, and swapped" hidden></div>
<h2 id=losses hidden>Losses</h2><img id=loss alt="The losses over the iterations" hidden>"""
SCRIPT = """const find=id=>document.getElementById(id),
buttons=[...document.querySelectorAll("button")];
const title=document.title;let asked=[],ended=false;
function picture(id,stamp){
  const image=find(id);
  if(stamp&&image.dataset.stamp!==stamp){image.dataset.stamp=stamp;image.src=`${id}.png?${stamp}`}
  image.hidden=!stamp;
}
function enable(){buttons.forEach(button=>button.disabled=ended||asked.includes(button.name))}
async function refresh(){
  try{
    const status=await(await fetch("status.json",{cache:"no-store"})).json();
    if(status.line){
      find("parts").replaceChildren(...status.line.split(/ {2,}/).map(part=>{
        const span=document.createElement("span");span.textContent=part;return span}));
      const left=status.line.match(/\\S+ left/);document.title=left?`${left[0]} - ${title}`:title;
      const waiting=status.asked.length?" Asked for: "+status.asked.join(", ")+".":"";
      find("news").textContent=`Reported ${Math.round(status.age)} s ago.${waiting}`;
    }
    picture("preview",status.preview);picture("loss",status.loss);
    find("losses").hidden=!status.loss;find("report").hidden=!status.report;
    asked=status.asked;ended=false;
  }catch{
    ended=true;find("news").textContent="The training has ended, or cannot be reached.";
  }
  enable();
  setTimeout(refresh,2000);
}
buttons.forEach(button=>button.onclick=async()=>{
  button.disabled=true;
  try{
    const reply=await fetch("ask",{method:"POST",
headers:{"X-Token":TOKEN},body:JSON.stringify({what:button.name})});
    find("news").textContent=reply.ok?`Asked for: ${button.name}.`:await reply.text();
  }catch{find("news").textContent="The training has ended, or cannot be reached."}
});
refresh();"""


class Page:
    """Serves the training in `folder` at `url` until it is closed. Everything may be called from
    any thread.
    """

    def __init__(self, folder: Path, port: int = 0):
        """A `port` of 0 takes a free one. Raises FaceswapError where it cannot be had."""
        self._folder = folder
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._line, self._row, self._time = "", {}, time.monotonic()
        self._place, self._token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise FaceswapError(f"The preview cannot be served at port {port}: "
                                f"{getattr(error, 'strerror', None) or error}. "
                                "Choose another port, or 0 for any that is free.") from error
        self._server.page = self
        self.port = self._server.server_address[1]
        self.hosts = frozenset(f"{name}:{self.port}"
                               for name in ("127.0.0.1", "localhost", "[::1]"))
        self._thread = threading.Thread(target=self._server.serve_forever,
                                        kwargs={"poll_interval": 0.1}, name="page", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self._place}/"

    def tell(self, row: Mapping[str, Any], line: str) -> None:
        """Updates the page: a row of the log, and the same in words, its parts two
        spaces apart.
        """
        row = _plain(row)
        with self._lock:
            self._line, self._row, self._time = escaped(line), row, time.monotonic()

    def take(self) -> set[str]:
        """Requests since the last call: some of "save", "preview" and "stop"."""
        with self._lock:
            asked, self._asked = self._asked, set()
        return asked

    def ask(self, what: str) -> None:
        with self._lock:
            self._asked.add(what)

    def close(self) -> None:
        """Stops serving and closes every connection; a second call does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def name_in(self, path: str) -> str | None:
        """What `path` names under the place of this page: "" for the page itself; None where it
        lies elsewhere.
        """
        place, slash, name = path.removeprefix("/").partition("/")
        return name if slash and secrets.compare_digest(place.encode(),
                                                        self._place.encode()) else None

    def allows(self, token: str) -> bool:
        """Whether `token` is the one inside the page, which no other site can read."""
        return secrets.compare_digest(token.encode(), self._token.encode())

    def html(self) -> str:
        buttons = "".join(f"<button name={what}>{escaped_html(label)}</button>"
                          for what, label in WISHES.items())
        script = f"const TOKEN={json.dumps(self._token)};\n{SCRIPT}"
        return document(f"Training {self._folder.resolve().name}",
                        STYLE + BODY.format(buttons=buttons), "img-src 'self'; connect-src 'self'",
                        script)

    def status(self) -> dict[str, Any]:
        """The last report; of each picture a mark that changes with it, None where there is none;
        what waits to be taken.
        """
        with self._lock:
            status = {"line": self._line, "row": self._row,
                      "age": round(time.monotonic() - self._time, 1), "asked": sorted(self._asked)}
        return status | {name: self._stamp(f"{name}.png")
                         for name in ("preview",
                                      "loss")} | {"report": bool(self._stamp("report.html"))}

    def file(self, name: str) -> bytes | None:
        """What lies in the folder under a `name` of FILES; None where there is nothing, or a link,
        which might lead out of it.
        """
        try:
            return read_bytes(self._folder / name, named=False)
        except (OSError, NotRegular):
            return None

    def _stamp(self, name: str) -> str | None:
        try:
            info = (self._folder / name).lstat()
        except OSError:
            return None
        if not stat.S_ISREG(info.st_mode):
            return None
        return f"{info.st_mtime_ns:x}-{info.st_size:x}"


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that closing it ends them: a browser keeps some open without a
    word.
    """

    page: Page
    # elsewhere that would share a port with whoever has it
    allow_reuse_address = os.name == "posix"

    def __init__(self, *arguments):
        self._open: dict[threading.Thread, socket.socket] = {}
        super().__init__(*arguments)

    def server_bind(self) -> None:
        # not HTTPServer's, which asks the network for our name
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address) -> None:
        self._open = {thread: connection for thread, connection in self._open.items()
                      if thread.is_alive()}
        thread = threading.Thread(target=self.process_request_thread,
                                  args=(request, client_address), name="page request", daemon=True)
        self._open[thread] = request
        thread.start()

    def handle_error(self, request, client_address) -> None:
        # mostly a browser that went away
        logger.debug("A request to the preview page failed.", exc_info=True)

    def server_close(self) -> None:
        super().server_close()
        for thread, connection in self._open.items():
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself
            thread.join()
        self._open = {}


class _Handler(BaseHTTPRequestHandler):
    """Answers one request. A name of this machine in Host keeps out sites that have their own name
    lead here.
    """

    server: _Server
    timeout = SILENT
    server_version, sys_version = "faceswap", ""

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        page = self.server.page
        name = page.name_in(self.path.partition("?")[0])
        if name == "":
            self._answer(200, page.html().encode("utf-8", "backslashreplace"),
                         "text/html; charset=utf-8")
        elif name == "status.json":
            self._answer(200, json.dumps(page.status()).encode(), "application/json")
        elif name in FILES and (data := page.file(name)) is not None:
            self._answer(200, data, FILES[name], APART if name == "report.html" else ALONE)
        else:
            self._refuse(404, NOTHING)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        measured = (length.isascii() and length.isdecimal() and len(length) < 5
                    and int(length) <= LONGEST)
        # first: a reply before its end may never be seen
        data = self.rfile.read(int(length)) if measured else b""
        if not self._is_ours():
            return
        if self.server.page.name_in(self.path) != "ask":
            self._refuse(404, NOTHING)
        elif not self.server.page.allows(self.headers.get("X-Token", "")):
            self._refuse(403, "The token is missing or wrong. Load the page again.")
        elif not measured:
            self._refuse(413, f"A wish is at most {LONGEST} bytes, and says how many.")
        elif (what := _wish(data)) is None:
            self._refuse(400, f'A wish is {{"what": ...}} with one of: {", ".join(WISHES)}.')
        else:
            self.server.page.ask(what)
            self._answer(200, b"{}", "application/json")

    def _is_ours(self) -> bool:
        page, hosts, origin = self.server.page, self.headers.get_all("Host",
                                                                     []), self.headers.get("Origin")
        same_origin = origin is None or origin.removeprefix("http://") in page.hosts
        ours = len(hosts) == 1 and hosts[0].lower() in page.hosts and same_origin
        if not ours:
            self._refuse(403, "Open the address that train printed, itself. From another machine, "
                         f"forward the same port: ssh -L {page.port}:127.0.0.1:{page.port} and "
                         "the name of this one.")
        return ours

    def _refuse(self, code: int, reason: str) -> None:
        self._answer(code, reason.encode(), "text/plain; charset=utf-8")

    def _answer(self, code: int, data: bytes, kind: str, policy: str = ALONE) -> None:
        self.send_response(code)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))),
                            ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
                            ("Referrer-Policy", "no-referrer"),
                            ("Cross-Origin-Resource-Policy", "same-origin"),
                            ("Content-Security-Policy", policy)):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        logger.debug(format, *arguments)


def _wish(data: bytes) -> str | None:
    """What is asked for, None where that is nothing we know."""
    try:
        what = parse_json(data)["what"]
    except (ValueError, KeyError, TypeError):
        return None
    return what if isinstance(what, str) and what in WISHES else None


def _plain(value: Any) -> Any:
    """`value` as JSON has it: a number that is none, as of a measurement that failed, is null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    number = float(value)  # NumPy's too
    return number if math.isfinite(number) else None
