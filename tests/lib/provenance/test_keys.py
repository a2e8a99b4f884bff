"""The key that is made on first use, and the user's own certificates."""

import datetime
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lib.errors import FaceswapError
from lib.provenance import keys


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(keys.FOLDER_VARIABLE, str(tmp_path / "keys"))
    monkeypatch.delenv(keys.PASSWORD_VARIABLE, raising=False)
    return tmp_path / "keys"


def own_certificate(folder, key=None, days=(-1, 100), password=None, self_signed=False, names=("Studio root", "Studio")):
    """Files with a certificate of somebody else's authority, and its key; `names` of both."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), key or ec.generate_private_key(ec.SECP384R1())
    name = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, words), x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Studio")])
            for words in names]
    root_key, name[0] = (key, name[1]) if self_signed else (root_key, name[0])
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject, public, vouches):
        usage = x509.KeyUsage(not vouches, False, False, False, False, vouches, vouches, False, False)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(name[0]).public_key(public)
                   .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days[0]))
                   .not_valid_after(now + datetime.timedelta(days[1])).add_extension(x509.BasicConstraints(vouches, None), True)
                   .add_extension(usage, True).add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False))
        if not vouches:
            builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    chain = certificate(name[1], key.public_key(), False) + (b"" if self_signed else certificate(name[0], root_key.public_key(), True))
    (folder / "chain.pem").write_bytes(chain)
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return folder / "chain.pem", folder / "key.pem"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_key_made_on_first_use_is_for_its_user_alone(folder):
    keys.own_identity()
    assert stat.S_IMODE((folder / keys.OWN).stat().st_mode) == 0o600 and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [file.name for file in folder.iterdir()] == [keys.OWN]


def test_the_second_use_takes_the_same_key():
    assert keys.own_identity() == keys.own_identity()


def test_runs_that_begin_together_make_one_key():
    with ThreadPoolExecutor(8) as pool:
        assert len({identity.fingerprint for identity in pool.map(lambda _: keys.own_identity(), range(8))}) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_key_that_others_could_read_is_closed_and_told(folder, caplog):
    keys.own_identity()
    (folder / keys.OWN).chmod(0o644)
    keys.own_identity()
    assert stat.S_IMODE((folder / keys.OWN).stat().st_mode) == 0o600 and "could be read by others" in caplog.text


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that may not be written")
def test_where_it_cannot_be_kept_it_is_for_one_run(folder, caplog):
    folder.mkdir()
    folder.chmod(0o500)
    keys.own_identity()
    assert "for this run alone" in caplog.text


def test_where_a_file_is_in_the_way_the_key_is_for_one_run(folder, caplog):
    folder.write_text("a file")
    assert keys.own_identity().own and "for this run alone" in caplog.text


def test_a_damaged_key_is_told(folder):
    keys.own_identity()
    (folder / keys.OWN).write_text("nothing")
    with pytest.raises(FaceswapError, match="Delete it; a new one will be made"):
        keys.own_identity()


@pytest.mark.parametrize("key, algorithm", [(ec.generate_private_key(ec.SECP256R1()), "es256"),
                                            (ec.generate_private_key(ec.SECP521R1()), "es512"),
                                            (rsa.generate_private_key(65537, 2048), "ps256")], ids=["P-256", "P-521", "RSA"])
def test_the_key_decides_the_algorithm(tmp_path, key, algorithm):
    assert keys.identity_of(*own_certificate(tmp_path, key)).algorithm == algorithm


def test_a_key_with_a_password_needs_it(tmp_path, monkeypatch):
    files = own_certificate(tmp_path, password="open sesame")
    with pytest.raises(FaceswapError, match=keys.PASSWORD_VARIABLE):
        keys.identity_of(*files)
    monkeypatch.setenv(keys.PASSWORD_VARIABLE, "wrong")
    with pytest.raises(FaceswapError, match="does not open"):
        keys.identity_of(*files)
    monkeypatch.setenv(keys.PASSWORD_VARIABLE, "open sesame")
    assert not keys.identity_of(*files).own


@pytest.mark.parametrize("change, words", [
    (lambda chain, key: key.write_text("none"), "holds no private key"), (lambda chain, key: chain.write_text("none"), "holds no PEM"),
    (lambda chain, key: key.unlink(), "cannot be read"), (lambda chain, key: chain.unlink(), "cannot be read"),
    (lambda chain, key: own_certificate(chain.parent.parent)[1].replace(key), "does not belong"),
    (lambda chain, key: own_certificate(chain.parent, days=(-10, -1)), "only. Use a current one"),
    (lambda chain, key: own_certificate(chain.parent, self_signed=True), "self-signed"),
    (lambda chain, key: own_certificate(chain.parent, rsa.generate_private_key(65537, 1024)), "C2PA does not support")])
def test_what_is_wrong_with_certificates_is_told(tmp_path, change, words):
    (tmp_path / "given").mkdir()
    files = own_certificate(tmp_path / "given")
    change(*files)
    with pytest.raises(FaceswapError, match=words):
        keys.identity_of(*files)
