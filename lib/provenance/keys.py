"""The key and the certificates that results are signed with: the user's own, or a pair that is made on first use."""

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
OWN = "signing.pem"  # the key, its certificate and the one that vouches for it
YEARS = 10
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Identity:
    """Who signs."""

    chain: str  # certificates as PEM, that of the key first
    key: str  # PKCS #8, PEM
    algorithm: str  # in C2PA's words: "es256"
    own: bool  # made here: nobody else vouches for it

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, hexadecimal."""
        return x509.load_pem_x509_certificate(self.chain.encode()).fingerprint(hashes.SHA256()).hex()


def folder() -> Path:
    """Where the key that is made here is kept: $FACESWAP_KEYS, or among this user's settings."""
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
    """The pair that was made on first use, or is made now. Where it cannot be kept, it is used for this run alone."""
    path = folder() / OWN
    try:
        if not path.exists():
            _keep(path, _made())
        return _read(path)
    except OSError as error:
        logger.warning("The signing key cannot be kept in %s (%s): one is made for this run alone.", path.parent, error.strerror)
        return _parsed(_made(), path)


def known_anchor() -> str | None:
    """PEM of the certificate that vouches for this user's own key; None where there is no such key yet."""
    try:
        return _certificates((folder() / OWN).read_bytes())[-1]
    except (OSError, ValueError, IndexError):
        return None


def identity_of(certificate: Path, key: Path) -> Identity:
    """The user's own: `certificate` holds PEM certificates, that of the key first, up to one that others know; `key` the private key,
    whose password is taken from $FACESWAP_KEY_PASSWORD.

    Raises FaceswapError where they cannot be read, do not belong together, or are not for signing.
    """
    try:
        chain = _certificates(certificate.read_bytes())
    except OSError as error:
        raise FaceswapError(f"{certificate} cannot be read: {error.strerror}. Name a PEM file with --certificate.") from error
    except ValueError:
        chain = []
    if not chain:
        raise FaceswapError(f"{certificate} holds no PEM certificate (-----BEGIN CERTIFICATE-----). Name another with --certificate.")
    loaded = _private_key(key)
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    if _public_bytes(leaf.public_key()) != _public_bytes(loaded.public_key()):
        raise FaceswapError(f"The key {key} does not belong to the first certificate in {certificate}. Put that of the key first.")
    now = datetime.datetime.now(datetime.UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise FaceswapError(f"The certificate in {certificate} is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to "
                            f"{leaf.not_valid_after_utc:%Y-%m-%d} only. Use a current one.")
    if len(chain) == 1 and leaf.issuer == leaf.subject:
        raise FaceswapError(f"The certificate in {certificate} vouches for itself, which C2PA does not accept. Use one that was issued by "
                            "another, or leave --certificate out: then a pair of your own is made.")
    return Identity("".join(chain), _pem(loaded), _algorithm(loaded, key), own=False)


def _made() -> bytes:
    """A new key as PEM, its certificate, and the one that vouches for it, whose own key is thrown away."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    number = hashlib.sha256(_public_bytes(key.public_key())).hexdigest()[:8]  # tells keys apart, and nothing of the person
    root = _certificate(f"faceswap user {number}, root", root_key, f"faceswap user {number}, root", root_key, True)
    leaf = _certificate(f"faceswap user {number}", key, f"faceswap user {number}, root", root_key, False)
    return _pem(key).encode() + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, root))


def _certificate(subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey,
                 vouches: bool) -> x509.Certificate:
    """As the C2PA specification 2.1 asks for (14.5, "X.509 Certificates")."""
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)  # clocks of machines that share a key differ
    usage = x509.KeyUsage(digital_signature=not vouches, content_commitment=False, key_encipherment=False, data_encipherment=False,
                          key_agreement=False, key_cert_sign=vouches, crl_sign=vouches, encipher_only=False, decipher_only=False)
    builder = (x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(began)
               .not_valid_after(began + datetime.timedelta(days=365 * YEARS))
               .add_extension(x509.BasicConstraints(vouches, 0 if vouches else None), True).add_extension(usage, True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False))
    if not vouches:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "faceswap (a key of the user's own)"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _keep(path: Path, made: bytes) -> None:
    """Writes `made` for this user alone, unless another run was faster."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        write_new(path, made, mode=0o600)
    except FileExistsError:
        return
    logger.info("Made a key to sign results with: %s. Only you can read it; keep it to yourself.", path)


def _read(path: Path) -> Identity:
    if os.name == "posix" and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        logger.warning("%s could be read by others (mode %03o). It is for you alone again; if somebody may have copied it, delete it, and "
                       "a new one is made.", path, mode)
        path.chmod(0o600)
    return _parsed(path.read_bytes(), path)


def _parsed(data: bytes, path: Path) -> Identity:
    try:
        key, chain = serialization.load_pem_private_key(data, None), _certificates(data)
        leaf = x509.load_pem_x509_certificate(chain[0].encode())
    except (ValueError, TypeError, IndexError) as error:
        raise FaceswapError(f"{path} does not hold a signing key any more. Delete it, and a new one is made.") from error
    if leaf.not_valid_after_utc <= datetime.datetime.now(datetime.UTC):
        raise FaceswapError(f"The signing key in {path} was valid until {leaf.not_valid_after_utc:%Y-%m-%d}. Rename the file to keep it, "
                            "and a new one is made.")
    return Identity("".join(chain), _pem(key), _algorithm(key, path), own=True)


def _certificates(data: bytes) -> list[str]:
    return [one.public_bytes(serialization.Encoding.PEM).decode() for one in x509.load_pem_x509_certificates(data)]


def _private_key(path: Path):
    password = os.environ.get(PASSWORD_VARIABLE)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FaceswapError(f"{path} cannot be read: {error.strerror}. Name a private key in PEM with --signing-key.") from error
    try:
        return serialization.load_pem_private_key(data, password.encode() if password and b"ENCRYPTED" in data else None)
    except TypeError as error:
        raise FaceswapError(f"The key {path} has a password. Put it into the environment variable {PASSWORD_VARIABLE}.") from error
    except ValueError as error:
        if b"ENCRYPTED" in data:
            raise FaceswapError(f"The password in {PASSWORD_VARIABLE} does not open {path}. Set the right one.") from error
        raise FaceswapError(f"{path} holds no private key in PEM (BEGIN PRIVATE KEY). Name another with --signing-key.") from error


def _algorithm(key, path: Path) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise FaceswapError(f"The key {path} is of a kind that C2PA does not know. Use an elliptic curve (P-256, P-384, P-521), Ed25519, or "
                        "RSA with 2048 bits or more.")


def _pem(key) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _public_bytes(key) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
