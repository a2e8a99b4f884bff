"""The key and certificates that sign results: the user's own, or a pair that is made on first
use.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib.errors import FaceswapError
from lib.files.writing import write_new
from lib.options import expanded

logger = logging.getLogger(__name__)

FOLDER_VARIABLE = "FACESWAP_KEYS"
PASSWORD_VARIABLE = "FACESWAP_KEY_PASSWORD"
OWN = "signing.pem"  # the key, its certificate and the issuer's
YEARS = 10
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Identity:
    """Who signs."""

    chain: str  # certificates as PEM, that of the key first
    key: str  # PKCS #8, PEM
    algorithm: str  # as C2PA calls it: "es256"
    own: bool  # made here, so that no known issuer confirms it

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, hexadecimal."""
        leaf = x509.load_pem_x509_certificate(self.chain.encode())
        return leaf.fingerprint(hashes.SHA256()).hex()


def folder() -> Path:
    """Folder of the key that is made here: $FACESWAP_KEYS, or the user's settings."""
    if own := os.environ.get(FOLDER_VARIABLE):
        return expanded(Path(own))
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path.home() / ".config"
    return Path(os.environ.get("XDG_CONFIG_HOME") or base) / "faceswap"


def own_identity() -> Identity:
    """The pair that was made on first use, or is made now; if it cannot be kept, for this run
    alone."""
    path = folder() / OWN
    try:
        if not path.exists():
            _keep(path, _make_pair())
        return _read(path)
    except OSError as error:
        logger.warning("The signing key cannot be stored in %s (%s). One is made for this run "
                       "alone.", path.parent, error.strerror)
        return _parse(_make_pair(), path)


def known_anchor() -> str | None:
    """PEM of the certificate that issued this user's own one; None where there is no own key
    yet.
    """
    try:
        return _certificates((folder() / OWN).read_bytes())[-1]
    except (OSError, ValueError, IndexError):
        return None


def identity_of(certificate: Path, key: Path) -> Identity:
    """The identity of the user's own files: `certificate` holds the PEM chain, that of the key
    first; `key` the private key, whose password is read from $FACESWAP_KEY_PASSWORD.

    Raises FaceswapError where they cannot be read, do not belong together, or cannot sign.
    """
    try:
        chain = _certificates(certificate.read_bytes())
    except OSError as error:
        raise FaceswapError(f"{certificate} cannot be read: {error.strerror}. Name a PEM file with "
                            "--certificate.") from error
    except ValueError:
        chain = []
    if not chain:
        raise FaceswapError(f"{certificate} holds no PEM certificate (-----BEGIN "
                            "CERTIFICATE-----). Name another with --certificate.")
    loaded = _private_key(key)
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    if _public_bytes(leaf.public_key()) != _public_bytes(loaded.public_key()):
        raise FaceswapError(f"The key {key} does not belong to the first certificate in "
                            f"{certificate}. Put the certificate of the key first.")
    now = datetime.datetime.now(datetime.UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise FaceswapError(f"The certificate in {certificate} is valid from "
                            f"{leaf.not_valid_before_utc:%Y-%m-%d} to "
                            f"{leaf.not_valid_after_utc:%Y-%m-%d} only. Use a current one.")
    if len(chain) == 1 and leaf.issuer == leaf.subject:
        raise FaceswapError(f"The certificate in {certificate} is self-signed, which C2PA does not "
                            "accept. Use one from an issuer, or leave --certificate out: then a "
                            "pair is made for you.")
    return Identity("".join(chain), _pem(loaded), _algorithm(loaded, key), own=False)


def _make_pair() -> bytes:
    """A new key as PEM, its certificate, and the issuer's, whose key is thrown away."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # says nothing about the person
    number = hashlib.sha256(_public_bytes(key.public_key())).hexdigest()[:8]
    root = _certificate(f"faceswap user {number}, root", root_key, f"faceswap user {number}, root",
                        root_key, True)
    leaf = _certificate(f"faceswap user {number}", key, f"faceswap user {number}, root", root_key,
                        False)
    return _pem(key).encode() + b"".join(certificate.public_bytes(serialization.Encoding.PEM)
                                         for certificate in (leaf, root))


def _certificate(subject: str, key: ec.EllipticCurvePrivateKey, issuer: str,
                 issuer_key: ec.EllipticCurvePrivateKey,
                 is_issuer: bool) -> x509.Certificate:
    """A certificate as the C2PA specification 2.1 requires (14.5, "X.509 Certificates")."""
    # clocks of machines that share a key differ
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    usage = x509.KeyUsage(digital_signature=not is_issuer, content_commitment=False,
                          key_encipherment=False, data_encipherment=False,
                          key_agreement=False, key_cert_sign=is_issuer, crl_sign=is_issuer,
                          encipher_only=False, decipher_only=False)
    builder = (x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer))
               .public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(began)
               .not_valid_after(began + datetime.timedelta(days=365 * YEARS))
               .add_extension(x509.BasicConstraints(is_issuer, 0 if is_issuer else None),
                              True).add_extension(usage, True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                   issuer_key.public_key()), False))
    if not is_issuer:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME,
                                         "faceswap (a key of the user's own)"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _keep(path: Path, pair: bytes) -> None:
    """Writes the pair, readable by this user alone, unless another run was faster."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        write_new(path, pair, mode=0o600)
    except FileExistsError:
        return
    logger.info("Made a key to sign results: %s. Only you can read it; keep it secret.", path)


def _read(path: Path) -> Identity:
    if os.name == "posix" and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        logger.warning("%s could be read by others (mode %03o). Now only you can read it. If "
                       "somebody may have copied it, delete it; a new one will be "
                       "made.", path, mode)
        path.chmod(0o600)
    return _parse(path.read_bytes(), path)


def _parse(data: bytes, path: Path) -> Identity:
    try:
        key, chain = serialization.load_pem_private_key(data, None), _certificates(data)
        leaf = x509.load_pem_x509_certificate(chain[0].encode())
    except (ValueError, TypeError, IndexError) as error:
        raise FaceswapError(f"{path} holds no signing key any more. Delete it; a new one will be "
                            "made.") from error
    if leaf.not_valid_after_utc <= datetime.datetime.now(datetime.UTC):
        raise FaceswapError(f"The signing key in {path} was valid until "
                            f"{leaf.not_valid_after_utc:%Y-%m-%d}. Rename the file to keep it; a "
                            "new one will be made.")
    return Identity("".join(chain), _pem(key), _algorithm(key, path), own=True)


def _certificates(data: bytes) -> list[str]:
    return [certificate.public_bytes(serialization.Encoding.PEM).decode()
            for certificate in x509.load_pem_x509_certificates(data)]


def _private_key(path: Path):
    password = os.environ.get(PASSWORD_VARIABLE)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FaceswapError(f"{path} cannot be read: {error.strerror}. Name a private key in PEM "
                            "with --signing-key.") from error
    secret = password.encode() if password and b"ENCRYPTED" in data else None
    try:
        return serialization.load_pem_private_key(data, secret)
    except TypeError as error:
        raise FaceswapError(f"The key {path} has a password. Put it into the environment variable "
                            f"{PASSWORD_VARIABLE}.") from error
    except ValueError as error:
        if b"ENCRYPTED" in data:
            raise FaceswapError(f"The password in {PASSWORD_VARIABLE} does not open {path}. Set "
                                "the right one.") from error
        raise FaceswapError(f"{path} holds no private key in PEM (BEGIN PRIVATE KEY). Name another "
                            "with --signing-key.") from error


def _algorithm(key, path: Path) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise FaceswapError(f"The key {path} is of a kind that C2PA does not support. Use an elliptic "
                        "curve (P-256, P-384, P-521), Ed25519, or RSA with 2048 bits or more.")


def _pem(key) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def _public_bytes(key) -> bytes:
    return key.public_bytes(serialization.Encoding.DER,
                            serialization.PublicFormat.SubjectPublicKeyInfo)
