"""What a file says about its origin, and whether it was changed since it was signed."""

from __future__ import annotations

import json
import os
import re
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import unescape

import c2pa

from lib.errors import FaceswapError
from lib.files.reading import parse_json
from lib.media.opening import open_container, open_picture
from lib.media.pictures.content import identify
from lib.provenance.keys import known_anchor
from lib.provenance.marking import ASSERTION, FORMATS, OFFLINE
from lib.provenance.xmp import BEGINS, COMPOSITE, statement
from lib.words import escaped

INTACT, PARTLY, CHANGED, UNMARKED = "intact", "partly", "changed", "unmarked"
LONGEST = 300  # characters of a statement
SENDER = 1 << 16  # bytes of a transport stream in which its service is named
SYNTHETIC = ("compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia",
             "compositeSynthetic", "algorithmicMedia")
# the latter means no change
TRUSTED, UNTRUSTED = "signingCredential.trusted", "signingCredential.untrusted"
SIGNATURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"II*\0": ".tif",
              b"MM\0*": ".tif"}


@dataclass(frozen=True)
class Provenance:
    """What one file says, verified."""

    path: Path
    state: str  # INTACT; PARTLY: what is signed is; CHANGED since it was signed; UNMARKED
    signer: str = ""
    known: bool = False  # signed with this user's own key, whatever name the certificate has
    signed_at: str | None = None  # according to a time stamping authority
    tool: str = ""
    source_types: tuple[str, ...] = ()  # IPTC digital source types of the actions
    actions: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    # what this toolkit adds: hashes, consent, settings
    swap: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    statement: str = ""  # of XMP or the container's comment, signed or not

    @property
    def synthetic(self) -> bool:
        """Whether the file says, signed or not, that it is synthetic."""
        return bool(self.statement) or any(kind in SYNTHETIC for kind in self.source_types)


def provenance_of(path: Path) -> Provenance:
    """Reads and verifies the file at `path`, offline. Raises FaceswapError where it cannot be
    read."""
    path = Path(path)
    if not path.is_file():
        raise FaceswapError(f"{path} is a folder: use --inspect." if path.is_dir() else
                            f"{path} does not exist. Check the name.")
    try:
        plain = statement_in(path)
        if (kind := _kind(path)) is None:
            return Provenance(path, UNMARKED, statement=plain)
        with open(path, "rb") as file:
            return _read(path, kind, file, plain)
    except OSError as error:
        raise FaceswapError(f"{path} cannot be read: {error.strerror}. Check its "
                            "permissions.") from error


def _read(path: Path, kind: str, file: BinaryIO, plain: str) -> Provenance:
    trust = {"verify": OFFLINE | {"verify_trust": True}}
    if anchor := known_anchor():
        trust["trust"] = {"user_anchors": anchor}
    context = c2pa.Context(c2pa.Settings.from_json(json.dumps({"version": 1} | trust)))
    try:
        with c2pa.Reader(kind, file, context=context) as reader:
            state, manifests = reader.get_validation_state(), parse_json(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return Provenance(path, UNMARKED, statement=plain)
    except c2pa.C2paError as error:
        problem = f"The mark cannot be read: {str(error).splitlines()[0]}"
        return Provenance(path, CHANGED, problems=(problem,), statement=plain)
    try:
        provenance = _parse(path, state, manifests, plain)
    except (KeyError, TypeError, AttributeError, ValueError):  # not what the standard says
        problem = "The mark does not hold what Content Credentials hold."
        return Provenance(path, CHANGED, problems=(problem,), statement=plain)
    has_boxes = kind in (FORMATS[".mp4"], FORMATS[".mov"])
    if provenance.state == INTACT and has_boxes and (count := _uncovered(path)):
        problem = f"No signature covers {count} bytes of it, in boxes that players skip."
        return replace(provenance, state=PARTLY, problems=(problem,))
    return provenance


def _parse(path: Path, state: str, report: dict[str, Any], plain: str) -> Provenance:
    """The provenance in the library's report. Raises KeyError, TypeError, AttributeError or
    ValueError where it has another form."""
    manifest = report["manifests"].get(report.get("active_manifest"), {})
    assertions = {item["label"]: item["data"] for item in manifest.get("assertions", ())}
    actions = next((data["actions"] for label, data in assertions.items()
                    if label.startswith("c2pa.actions")), [])
    signature = manifest.get("signature_info", {})
    tools = manifest.get("claim_generator_info") or [{}]
    results = (report.get("validation_results") or {}).get("activeManifest", {})
    problems = [item for item in report.get("validation_status", ()) if item["code"] != UNTRUSTED]
    kinds = [action.get("digitalSourceType") for action in actions]
    return Provenance(
        path, INTACT if state in ("Valid", "Trusted") and not problems else CHANGED,
        signer=signature.get("common_name") or signature.get("issuer", ""),
        known=any(item["code"] == TRUSTED for item in results.get("success", ())),
        signed_at=signature.get("time"),
        tool=f"{tools[0].get('name', '')} {tools[0].get('version', '')}".strip(),
        source_types=tuple(dict.fromkeys(kind.rpartition("/")[2] for kind in kinds if kind)),
        actions=tuple(map(_action, actions)),
        ingredients=tuple(map(_ingredient, manifest.get("ingredients", ()))),
        swap=_swap(assertions.get(ASSERTION, {})),
        problems=tuple(f"{item['code']}: {item.get('explanation', '')}".rstrip(": ")
                       for item in problems), statement=plain)


def _action(action: dict[str, Any]) -> str:
    description = action.get("description")
    return f"{action['action']}: {description}" if description else f"{action['action']}"


def _ingredient(item: dict[str, Any]) -> str:
    credentials = ", with Content Credentials of its own" if item.get("active_manifest") else ""
    return (f"{item.get('title', '?')} ({item.get('relationship', '?')}, "
            f"{item.get('instance_id', 'no hash')}{credentials})")


def _swap(values: dict[str, Any]) -> dict[str, Any]:
    """What this toolkit adds. Raises KeyError, TypeError or ValueError for malformed records of
    consent."""
    consent = [{"sha256": str(record["sha256"]), "bytes": int(record["bytes"])}
               for record in values.get("consent", ())]
    return dict(values) | ({"consent": consent} if consent else {})


def _uncovered(path: Path) -> int:
    """Bytes of an MP4 that its signature leaves out (C2PA 2.1, 18.7), but for what is usual there:
    one `ftyp`, an index of fragments, and empty space before the last signed box."""
    count = trailing = 0
    kinds = set()
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        place = 0
        while place + 8 <= size:
            file.seek(place)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - place
            if length < 8:
                break
            if kind in (b"free", b"skip"):
                trailing += length
                file.seek(place + 8)
                count += length if _has_content(file, length - 8) else 0
            else:
                is_odd = (kind == b"ftyp" and kind in kinds
                          or kind == b"mfra" and b"moof" not in kinds)
                count, trailing = count + length * is_odd, 0
            kinds.add(kind)
            place += length
    return max(count, trailing)


def _has_content(file: BinaryIO, length: int) -> bool:
    while length > 0 and (chunk := file.read(min(length, 1 << 20))):
        if chunk.count(0) < len(chunk):
            return True
        length -= len(chunk)
    return False


def _kind(path: Path) -> str | None:
    """Media type of a file in a format that carries Content Credentials, by its content, since
    names may be wrong; None for other formats."""
    with open(path, "rb") as file:
        head = file.read(16)
    for signature, ending in SIGNATURES.items():
        if head.startswith(signature):
            return FORMATS[ending]
    if head[:4] == b"RIFF":
        return FORMATS[".webp" if head[8:12] == b"WEBP"
                       else ".avi"] if head[8:12] in (b"WEBP", b"AVI ") else None
    if head[4:8] == b"ftyp":
        return FORMATS[".mov" if head[8:12] == b"qt  " else ".mp4"]
    return FORMATS.get(path.suffix.lower())


def statement_in(path: Path) -> str:
    """The plain statement "AI-generated: ..." in a picture or video, as one line; "" for none.
    Anybody may have written it."""
    return escaped(_statement_in(path)[:LONGEST])


def _statement_in(path: Path) -> str:
    if identify(path) == "picture":

        try:
            with warnings.catch_warnings(), open_picture(path) as picture:
                warnings.simplefilter("ignore")  # of Pillow, about damaged files
                xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
                if not xmp and hasattr(picture, "tag_v2"):
                    xmp = picture.tag_v2.get(700, b"")
        except Exception:  # decoders of damaged files raise anything
            return ""
        xmp = xmp if isinstance(xmp, str) else bytes(xmp).decode(errors="replace")
        match = re.search(f"{BEGINS}[^<]*", xmp)
        if match:
            return unescape(match[0])
        return statement("picture") if COMPOSITE in xmp else ""
    import av

    try:
        with open_container(path) as container:
            texts = list(container.metadata.values())
            for stream in container.streams:
                texts += stream.metadata.values()
    except av.error.FFmpegError:
        return ""
    lines = (line for text in texts for line in text.splitlines() if line.startswith(BEGINS))
    return next(lines, "") or _service_name(path)


def _service_name(path: Path) -> str:
    """The statement in the service name of a transport stream, which FFmpeg's libraries do not
    read."""
    name = BEGINS.rstrip(": ")
    with open(path, "rb") as file:
        head = file.read(SENDER)
    is_stream = head[:1] == b"G" and head[188:189] == b"G"
    return name if is_stream and name.encode() in head else ""
