"""The plain statement inside files that any reader shows: XMP in pictures, a comment in videos."""

from __future__ import annotations

from xml.sax.saxutils import escape

from lib.version import VERSION

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"  # IPTC digital source type
TOOL = f"faceswap {VERSION}"
STATEMENT = "AI-generated: faces in this {what} were replaced by a computer"


def statement(what: str) -> str:
    """For people: `what` is "picture" or "video"."""
    return f"{STATEMENT.format(what=what)} ({TOOL}; IPTC digital source type {COMPOSITE.rpartition('/')[2]})."


def packet() -> bytes:
    """An XMP packet (ISO 16684-1) with the digital source type of the IPTC Photo Metadata Standard 2024.1."""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" Iptc4xmpExt:DigitalSourceType="{COMPOSITE}" xmp:CreatorTool="{TOOL}">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(statement("picture"))}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()
