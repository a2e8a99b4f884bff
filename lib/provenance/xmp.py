"""The plain statement in files, which any viewer shows: XMP in pictures, a comment in videos."""

from __future__ import annotations

from typing import NamedTuple
from xml.sax.saxutils import escape

from lib.version import VERSION

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"  # of the IPTC
COMPOSITE = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
WHOLE = SOURCE_TYPES + "trainedAlgorithmicMedia"
TOOL = f"faceswap {VERSION}"
BEGINS = "AI-generated: "  # every statement


class Done(NamedTuple):
    """How a result was made, in words."""

    statement: str  # what follows "AI-generated: "
    action: str  # a sentence in the signed manifest
    source_type: str = COMPOSITE  # IPTC digital source type; WHOLE: without any original


SWAPPED = Done("faces in this {what} were replaced by a computer",
               "Faces were replaced by faces that a neural network drew.")
TRANSLATED = Done("this {what} was translated from another by a computer",
                  "A neural network redrew the whole picture.")
GENERATED = Done("this {what} was drawn by a computer",
                 "Faces were drawn by a neural network.", WHOLE)
WITH_REAL_FACES = Done("some of the faces in this {what} were drawn by a computer",
                       "Faces drawn by a neural network were set beside real ones.")


def statement(kind: str, done: Done = SWAPPED) -> str:
    """The statement for people; `kind` is "picture" or "video"."""
    source_type = done.source_type.rpartition("/")[2]
    return (f"{BEGINS}{done.statement.format(what=kind)} ({TOOL}; IPTC digital source type "
            f"{source_type}).")


def packet(done: Done = SWAPPED) -> bytes:
    """An XMP packet (ISO 16684-1) with the digital source type of the IPTC Photo Metadata Standard
    2024.1."""
    text = escape(statement("picture", done))
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 Iptc4xmpExt:DigitalSourceType="{done.source_type}" xmp:CreatorTool="{TOOL}">
<dc:description><rdf:Alt><rdf:li
 xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()
