"""How results are marked as synthetic: who signs, what the mark says, and what the record of the
run tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lib.errors import UsageError
from lib.files.reading import as_json
from lib.jobs.shared.options import ProvenanceOptions
from lib.media.base import Markable
from lib.provenance.run_record import Record
from lib.provenance.xmp import SWAPPED, Done
from lib.settings import Settings

if TYPE_CHECKING:
    from lib.provenance.keys import Identity
    from lib.provenance.marking import Consent, Mark


class Signature(NamedTuple):
    """Who signs results, and which records of consent they name."""

    identity: Identity
    consent: list[Consent]


@dataclass(frozen=True)
class Marking:
    """How the results of a run are marked, as far as it is known before a model is loaded."""

    signature: Signature
    timestamp: str | None
    settings: dict[str, Any]  # options that the mark names
    done: Done  # what was done to the original

    def mark(self, original: Path | None, models: Mapping[str, str] | None = None,
             hash_of: Callable[[], str | None] = lambda: None) -> Mark:
        """The mark of what is made of `original` by `models` (names by SHA-256); `hash_of` gives
        the SHA-256 of the original."""
        from lib.provenance.marking import Mark

        return Mark(self.signature.identity, dict(models or {}), original, hash_of,
                    self.signature.consent, {"settings": self.settings}, self.timestamp, self.done)


def marking_of(options: ProvenanceOptions, original: Path, settings: dict[str, Any],
               done: Done = SWAPPED) -> Marking | None:
    """How results made of `original` are marked, tried once; None with --no-provenance. Raises
    FaceswapError where they cannot be signed."""
    signature = signature_of(options)
    if signature is None:
        return None
    marking = Marking(signature, options.timestamp, settings, done)
    marking.mark(original).check()
    return marking


def signature_of(options: ProvenanceOptions) -> Signature | None:
    """What --certificate, --signing-key and --consent ask for; None with --no-provenance. Raises
    FaceswapError where it cannot be had."""
    flags = {"--certificate": options.certificate, "--signing-key": options.signing_key,
             "--timestamp": options.timestamp, "--consent": options.consent}
    if not options.provenance:
        if used := [flag for flag, value in flags.items() if value]:
            raise UsageError(
                f"{used[0]} and --no-provenance exclude each other. Leave one of them out.")
        return None
    if (options.certificate is None) != (options.signing_key is None):
        raise UsageError(
            "--certificate and --signing-key go together: the certificates as PEM, and the "
            "private key of the first.")
    from lib.provenance import keys  # takes 0.1 s to import
    from lib.provenance.marking import consent_of

    consent = consent_of(options.consent)
    return Signature(keys.identity_of(options.certificate, options.signing_key)
                     if options.certificate else keys.own_identity(), consent)


@contextmanager
def marked(sink: Markable, record: Record, mark: Mark | None, label: str | None,
           failures: dict[str, None]) -> Iterator[None]:
    """Makes `sink` mark what it writes, and notes in the record how; adds what could not be marked
    to `failures`."""
    sink.mark = mark
    noted = {"marked": mark is not None, "label": label}
    if mark:
        noted |= {"certificate": mark.identity.fingerprint, "timestamp": mark.timestamp,
                  "consent": [{"path": str(consent.path.resolve()), "sha256": consent.sha256}
                              for consent in mark.consent]}
    record.note(provenance=noted)
    yield
    if mark:
        failures |= dict.fromkeys(mark.problems)


def note_hash(record: Record, output: Path) -> None:
    """Notes in the record which file a run has written; of a folder nothing."""
    if output.is_file():
        from lib.provenance.marking import file_hash

        record.note(output_sha256=file_hash(output))


def option_values(settings: Settings) -> dict[str, Any]:
    """The options of a run as JSON values, as its record keeps them."""
    return as_json({item.name.rstrip("_"): getattr(settings, item.name)
                    for item in fields(settings)}, str)
