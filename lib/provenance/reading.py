"""What a file says of its origin, and whether it is still as it was signed."""

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
from lib.provenance.marking import ALONE, ASSERTION, FORMATS
from lib.provenance.xmp import BEGINS, COMPOSITE, statement
from lib.words import escaped

INTACT, PARTLY, CHANGED, UNMARKED = "intact", "partly", "changed", "unmarked"
LONGEST = 300  # letters of a statement
SENDER = 1 << 16  # bytes of a transport stream in which its sender is named
SYNTHETIC = ("compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia", "compositeSynthetic", "algorithmicMedia")
TRUSTED, UNTRUSTED = "signingCredential.trusted", "signingCredential.untrusted"  # the latter is no sign of a change
SIGNATURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"II*\0": ".tif", b"MM\0*": ".tif"}


@dataclass(frozen=True)
class Provenance:
    """What is known of one file."""

    path: Path
    state: str  # INTACT; PARTLY: so is what the signature covers; CHANGED since it was signed; UNMARKED: without Content Credentials
    signer: str = ""
    known: bool = False  # whether it was signed with this user's own key, whatever name the certificate has
    signed_at: str | None = None  # as a time stamping authority says
    tool: str = ""
    source_types: tuple[str, ...] = ()  # the IPTC digital source types of what was done
    actions: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    swap: dict[str, Any] = field(default_factory=dict)  # what this toolkit adds: hashes, consent, settings
    problems: tuple[str, ...] = ()
    statement: str = ""  # what XMP or the container's comment says, signed or not

    @property
    def synthetic(self) -> bool:
        return bool(self.statement) or any(one in SYNTHETIC for one in self.source_types)


def provenance_of(path: Path) -> Provenance:
    """Reads and verifies the file at `path`, without a network. Raises FaceswapError where there is no such file, or it cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise FaceswapError(f"{path} {'is a folder: use --inspect' if path.is_dir() else 'does not exist. Check the name'}.")
    try:
        said = statement_in(path)
        if (kind := _kind(path)) is None:
            return Provenance(path, UNMARKED, statement=said)
        with open(path, "rb") as file:
            return _read(path, kind, file, said)
    except OSError as error:
        raise FaceswapError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error


def _read(path: Path, kind: str, file, said: str) -> Provenance:
    trust = {"verify": ALONE | {"verify_trust": True}}
    if anchor := known_anchor():
        trust["trust"] = {"user_anchors": anchor}
    context = c2pa.Context(c2pa.Settings.from_json(json.dumps({"version": 1} | trust)))
    try:
        with c2pa.Reader(kind, file, context=context) as reader:
            state, told = reader.get_validation_state(), parse_json(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return Provenance(path, UNMARKED, statement=said)
    except c2pa.C2paError as error:
        return Provenance(path, CHANGED, problems=(f"The mark cannot be read: {str(error).splitlines()[0]}",), statement=said)
    try:
        found = _told(path, state, told, said)
    except (KeyError, TypeError, AttributeError, ValueError):  # well signed, perhaps, but not what the standard says
        return Provenance(path, CHANGED, problems=("The mark does not hold what Content Credentials hold.",), statement=said)
    if found.state == INTACT and kind in (FORMATS[".mp4"], FORMATS[".mov"]) and (count := _uncovered(path)):
        return replace(found, state=PARTLY, problems=(f"No signature covers {count} bytes of it, in boxes that players pass over.",))
    return found


def _told(path: Path, state: str, told: dict[str, Any], said: str) -> Provenance:
    """What the library tells of a mark. Raises KeyError, TypeError, AttributeError or ValueError where it is of another form."""
    manifest = told["manifests"].get(told.get("active_manifest"), {})
    assertions = {one["label"]: one["data"] for one in manifest.get("assertions", ())}
    actions = next((data["actions"] for label, data in assertions.items() if label.startswith("c2pa.actions")), [])
    signature, tools = manifest.get("signature_info", {}), manifest.get("claim_generator_info") or [{}]
    successes = (told.get("validation_results") or {}).get("activeManifest", {}).get("success", ())
    problems = [one for one in told.get("validation_status", ()) if one["code"] != UNTRUSTED]
    return Provenance(
        path, INTACT if state in ("Valid", "Trusted") and not problems else CHANGED,
        signer=signature.get("common_name") or signature.get("issuer", ""), known=any(one["code"] == TRUSTED for one in successes),
        signed_at=signature.get("time"),
        tool=f"{tools[0].get('name', '')} {tools[0].get('version', '')}".strip(),
        source_types=tuple(dict.fromkeys(action["digitalSourceType"].rpartition("/")[2] for action in actions
                                         if action.get("digitalSourceType"))),
        actions=tuple(f"{action['action']}{': ' + action['description'] if action.get('description') else ''}" for action in actions),
        ingredients=tuple(f"{one.get('title', '?')} ({one.get('relationship', '?')}, {one.get('instance_id', 'no hash')}"
                          f"{', with Content Credentials of its own' if one.get('active_manifest') else ''})"
                          for one in manifest.get("ingredients", ())),
        swap=_own(assertions.get(ASSERTION, {})),
        problems=tuple(f"{one['code']}: {one.get('explanation', '')}".rstrip(": ") for one in problems), statement=said)


def _own(said: dict[str, Any]) -> dict[str, Any]:
    """What this toolkit adds. Raises KeyError, TypeError or ValueError where its records of consent are none."""
    consent = [{"sha256": str(record["sha256"]), "bytes": int(record["bytes"])} for record in said.get("consent", ())]
    return dict(said) | ({"consent": consent} if consent else {})


def _uncovered(path: Path) -> int:
    """Bytes of an MP4 that its signature leaves out (C2PA 2.1, 18.7), but for what files have in such places: one `ftyp`, an index of
    fragments, and room that is empty, before the last box that counts.
    """
    count = trailing = 0
    kinds = set()
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        at = 0
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - at
            if length < 8:
                break
            if kind in (b"free", b"skip"):
                trailing += length
                file.seek(at + 8)
                count += length if _holds_something(file, length - 8) else 0
            else:
                is_odd = kind == b"ftyp" and kind in kinds or kind == b"mfra" and b"moof" not in kinds
                count, trailing = count + length * is_odd, 0
            kinds.add(kind)
            at += length
    return max(count, trailing)


def _holds_something(file: BinaryIO, length: int) -> bool:
    while length > 0 and (chunk := file.read(min(length, 1 << 20))):
        if chunk.count(0) < len(chunk):
            return True
        length -= len(chunk)
    return False


def _kind(path: Path) -> str | None:
    """Media type of a file in a format that carries Content Credentials; the content decides, since names may be wrong."""
    with open(path, "rb") as file:
        head = file.read(16)
    for begins, ending in SIGNATURES.items():
        if head.startswith(begins):
            return FORMATS[ending]
    if head[:4] == b"RIFF":
        return FORMATS[".webp" if head[8:12] == b"WEBP" else ".avi"] if head[8:12] in (b"WEBP", b"AVI ") else None
    if head[4:8] == b"ftyp":
        return FORMATS[".mov" if head[8:12] == b"qt  " else ".mp4"]
    return FORMATS.get(path.suffix.lower())


def statement_in(path: Path) -> str:
    """The plain statement, "AI-generated: ...", that a picture or video carries besides, as one line; nothing where there is none.

    Anybody may have written it.
    """
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
        said = re.search(f"{BEGINS}[^<]*", xmp)
        return unescape(said[0]) if said else statement("picture") if COMPOSITE in xmp else ""
    import av

    try:
        with open_container(path) as container:
            texts = list(container.metadata.values()) + [text for stream in container.streams for text in stream.metadata.values()]
    except av.error.FFmpegError:
        return ""
    return next((line for text in texts for line in text.splitlines() if line.startswith(BEGINS)), "") or _of_sender(path)


def _of_sender(path: Path) -> str:
    """What a transport stream says in the name of its sender, which FFmpeg's libraries do not tell."""
    begins = BEGINS.rstrip(": ")
    with open(path, "rb") as file:
        head = file.read(SENDER)
    return begins if head[:1] == b"G" and head[188:189] == b"G" and begins.encode() in head else ""
