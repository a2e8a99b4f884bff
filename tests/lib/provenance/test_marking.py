"""Content Credentials, written and read by the C2PA library in real files."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree

import av
import c2pa
import numpy as np
import pytest
from PIL import Image

from lib.errors import FaceswapError
from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.plugin import WRITERS
from lib.provenance import keys
from lib.provenance.marking import Mark, consent_of, file_hash
from lib.provenance.reading import CHANGED, INTACT, UNMARKED, provenance_of
from lib.provenance.xmp import COMPOSITE
from lib.types import Patch
from tests.leftovers import unfinished
from tests.lib.provenance.test_keys import own_certificate

PICTURES = (".jpg", ".png", ".webp", ".tif")
AROUND = 32  # bytes around the manifest in which a format says where it lies
CHECKSUM = 4  # bytes after it, in PNG
MODEL = "ab" * 32
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def original(astronaut, tmp_path) -> Path:
    path = tmp_path / "original.jpg"
    picture_file.write(path, astronaut[:64, :96])
    return path


@pytest.fixture
def mark(original) -> Mark:
    return Mark(keys.own_identity(), {MODEL: "compact"}, original, lambda: file_hash(original))


def unsigned(ending: str, image: np.ndarray, folder: Path) -> bytes:
    path = folder / f"unsigned{ending}"
    if ending == ".gif":
        Image.fromarray(image).save(path)
    else:
        picture_file.write(path, image)
    return path.read_bytes()


@pytest.mark.parametrize("ending", [*PICTURES, ".gif"])
def test_a_marked_picture_is_valid_and_says_how_it_came_about(mark, original, astronaut, tmp_path, ending):
    path = tmp_path / f"swapped{ending}"
    path.write_bytes(mark.signed(unsigned(ending, astronaut[:64, :96], tmp_path), path, original))
    found = provenance_of(path)
    assert (found.state, found.known, found.problems) == (INTACT, True, ())
    assert found.source_types == ("compositeWithTrainedAlgorithmicMedia",) and found.tool.startswith("faceswap ")
    assert found.swap["original_sha256"] == file_hash(original) and found.swap["models_sha256"] == [MODEL]
    assert any(file_hash(original) in ingredient and "parentOf" in ingredient for ingredient in found.ingredients)
    assert any(MODEL in ingredient and "inputTo" in ingredient for ingredient in found.ingredients)
    assert np.array_equal(picture_file.read(path), picture_file.read(tmp_path / f"unsigned{ending}"))


@pytest.mark.parametrize("ending", [*PICTURES, ".gif"])
def test_every_changed_byte_of_a_picture_is_told(mark, original, astronaut, tmp_path, ending):
    path = tmp_path / f"swapped{ending}"
    signed = bytearray(mark.signed(unsigned(ending, astronaut[:8, :16], tmp_path), path, original))
    box = signed.index(b"jumb") - 4  # the manifest, of which bytes that only fill up may change
    fills_up = range(box - AROUND, box + int.from_bytes(signed[box:box + 4], "big") + CHECKSUM * (ending == ".png"))
    missed = []
    for place in [place for place in range(len(signed)) if place not in fills_up]:
        signed[place] ^= 1
        path.write_bytes(signed)
        signed[place] ^= 1
        if provenance_of(path).state == INTACT:
            missed.append(place)
    assert missed == [] and len(fills_up) < len(signed)


@pytest.mark.parametrize("name", ["h264_8bit.mp4", "h264_fragmented.mp4", "hevc_10bit.mov", "h264.m4v", "mpeg4_mp3.avi",
                                  "prores_422hq.mov"])
def test_a_marked_video_is_valid_and_a_changed_byte_is_told(mark, shared, tmp_path, name):
    path = tmp_path / name
    before = Path(shutil.copy(shared(f"videos/formats/{name}"), tmp_path / f"before{path.suffix}"))
    mark.sign(before, path)
    before.replace(path)
    assert provenance_of(path).state == INTACT and not before.exists()
    with av.open(str(path)) as marked, av.open(str(shared(f"videos/formats/{name}"))) as plain:
        assert [bytes(packet) for packet in marked.demux()] == [bytes(packet) for packet in plain.demux()]
    data = bytearray(path.read_bytes())
    box = data.index(b"jumb") - 4
    fills_up = range(box - 64, box + int.from_bytes(data[box:box + 4], "big"))
    seeking = data.rfind(b"mfra") if "fragmented" in name else len(data)
    # C2PA takes no notice of the first bytes, which tell the type of the file, nor of what helps to seek
    for place in np.linspace(40, seeking - 9, 200).astype(int):
        if place not in fills_up:
            data[place] ^= 1
            path.write_bytes(data)
            data[place] ^= 1
            assert provenance_of(path).state == CHANGED, place


def test_a_large_video_is_signed_and_verified_without_holding_it(shared, tmp_path):
    """200 MB, in a process of its own, whose memory is measured."""
    with av.open(str(shared("videos/bench/street_1080p.mp4"))) as clip, av.open(str(tmp_path / "large.mp4"), "w") as large:
        video = clip.streams.video[0]
        packets = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in clip.demux(video) if packet.size]
        stream = large.add_stream_from_template(video)
        lasts = packets[-1][2] - packets[0][2] + round(1 / video.average_rate / video.time_base)
        for turn in range(200_000_000 // sum(len(data) for data, *_ in packets) + 1):
            for data, shown, decoded, key in packets:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.is_keyframe = shown + turn * lasts, decoded + turn * lasts, key
                packet.time_base, packet.stream = video.time_base, stream
                large.mux(packet)
    code = """if True:
        import resource, sys
        from pathlib import Path
        from lib.provenance import keys, marking, reading
        path = Path(sys.argv[1])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        marking.Mark(keys.own_identity(), {}, path, lambda: None).sign(path, path)
        assert reading.provenance_of(path).state == "intact", reading.provenance_of(path)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "large.mp4"], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60  # MB


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_while_a_video_is_signed_ends_it_and_leaves_the_unsigned_file(tmp_path, shared):
    clip = Path(shutil.copy(shared("videos/bench/street_1080p.mp4"), tmp_path / "part.mp4"))
    with open(clip, "ab") as file:  # a box that players skip: 400 MB of nothing
        file.write((400_000_000).to_bytes(4, "big") + b"free")
        file.truncate(file.tell() + 400_000_000 - 8)
    code = """if True:
        import os, signal, sys, threading
        from pathlib import Path
        from lib.provenance import keys, marking
        part = Path(sys.argv[1])
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
        try:
            marking.Mark(keys.own_identity(), {}, part, lambda: None).sign(part, part)
        except KeyboardInterrupt:
            print([file.name for file in part.parent.iterdir()])"""
    size = clip.stat().st_size
    done = subprocess.run([sys.executable, "-c", code, clip], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.stdout == "['part.mp4']\n" and clip.stat().st_size == size, done.stdout + done.stderr


def test_models_of_the_same_name_are_both_named(mark, original, tmp_path):
    mark.models = {MODEL: "model", "cd" * 32: "model"}
    path = tmp_path / "swapped.jpg"
    path.write_bytes(mark.signed(original.read_bytes(), path, original))
    found = provenance_of(path)
    assert found.swap["models_sha256"] == [MODEL, "cd" * 32] and sum("inputTo" in one for one in found.ingredients) == 2


def test_without_credentials_a_file_is_unmarked(original):
    assert provenance_of(original).state == UNMARKED


def test_a_picture_made_of_a_marked_one_keeps_its_history(mark, original, astronaut, tmp_path):
    first = tmp_path / "first.jpg"
    first.write_bytes(mark.signed(original.read_bytes(), first, original))
    second = tmp_path / "second.png"
    again = Mark(mark.identity, {MODEL: "compact"}, first, lambda: file_hash(first))
    second.write_bytes(again.signed(unsigned(".png", astronaut[:64, :96], tmp_path), second, first))
    assert provenance_of(second).state == INTACT
    with open(second, "rb") as file, c2pa.Reader("image/png", file) as reader:
        assert reader.json().count('"c2pa.opened"') == 2


def test_a_stranger_s_signature_is_valid_but_nobody_vouches_for_it(mark, original, tmp_path, monkeypatch):
    path = tmp_path / "swapped.jpg"
    path.write_bytes(mark.signed(original.read_bytes(), path, original))
    monkeypatch.setenv(keys.FOLDER_VARIABLE, str(tmp_path / "other"))
    keys.own_identity()
    found = provenance_of(path)
    assert (found.state, found.known) == (INTACT, False)


def test_own_certificates_sign(mark, original, tmp_path):
    mark.identity = keys.identity_of(*own_certificate(tmp_path))
    mark.check()
    path = tmp_path / "swapped.jpg"
    path.write_bytes(mark.signed(original.read_bytes(), path, original))
    assert (provenance_of(path).state, provenance_of(path).signer) == (INTACT, "Studio")


def test_xmp_says_it_to_any_reader(mark, original, astronaut, tmp_path):
    for ending in PICTURES:
        path = tmp_path / f"swapped{ending}"
        picture_file.write(path, astronaut, mark=mark, original=original)
        with Image.open(path) as picture:
            found = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp", "").encode() or picture.tag_v2[700]
        said, = ElementTree.fromstring(found).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
        assert said.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType") == COMPOSITE, ending
        assert provenance_of(path).statement, ending


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_pictures_of_16_bits_are_marked_too(mark, original, astronaut, tmp_path, ending):
    path = tmp_path / f"deep{ending}"
    picture_file.write(path, astronaut.astype(np.uint16) * 257, mark=mark, original=original)
    found = provenance_of(path)
    assert found.state == INTACT and found.statement and picture_file.pixels(path).image.dtype == np.uint16


def test_grey_pictures_are_marked_and_masks_are_not(mark, astronaut, tmp_path):
    (tmp_path / "in").mkdir()
    picture_file.write(tmp_path / "in" / "grey.png", astronaut[:100, :120, 0])
    source = open_source(tmp_path / "in")
    rows, columns = slice(20, 60), slice(30, 80)
    face = np.full((40, 50, 3), 90, np.uint8)
    patch = Patch(rows, columns, face, astronaut[rows, columns], face, np.ones((40, 50), np.float32), (face, np.eye(2, 3)))
    with WRITERS.create("images", mask="separate").open(tmp_path / "out", source) as sink:
        sink.mark = mark
        for frame in source:
            sink.patch(frame, [patch])
    assert Image.open(tmp_path / "out" / "grey.png").mode == "L"
    assert provenance_of(tmp_path / "out" / "grey.png").state == INTACT
    assert provenance_of(tmp_path / "out" / "grey_mask.png").state == UNMARKED


def test_a_consent_record_is_named_by_its_hash_alone(mark, original, tmp_path):
    (tmp_path / "consent of a person.txt").write_text("I agree.")
    mark.consent = consent_of([tmp_path / "consent of a person.txt"])
    path = tmp_path / "swapped.jpg"
    signed = mark.signed(original.read_bytes(), path, original)
    path.write_bytes(signed)
    assert provenance_of(path).swap["consent"] == [{"sha256": file_hash(tmp_path / "consent of a person.txt"), "bytes": 8}]
    assert b"consent of a person" not in signed and b"I agree" not in signed


@pytest.mark.parametrize("make, words", [(lambda path: None, "no such file"), (lambda path: path.touch(), "is empty"),
                                         (lambda path: path.mkdir(), "is a folder")])
def test_a_consent_record_that_is_none_is_told(tmp_path, make, words):
    make(tmp_path / "consent.pdf")
    with pytest.raises(FaceswapError, match=words):
        consent_of([tmp_path / "consent.pdf"])


def test_damaged_and_foreign_files_are_read_without_a_crash(shared):
    for file in [*shared("photos/broken").iterdir(), *shared("videos/broken").iterdir()]:
        assert provenance_of(file).state in (UNMARKED, CHANGED), file


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(FaceswapError, match="does not exist"):
        provenance_of(tmp_path / "none.jpg")


class Authority(BaseHTTPRequestHandler):
    """A time stamping authority, by the openssl command."""

    def do_POST(self):
        folder = self.server.folder
        (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        subprocess.run(["openssl", "ts", "-reply", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key", "-chain", "tsa.pem",
                        "-out", "reply", "-config", "tsa.cnf", "-section", "tsa"], cwd=folder, check=True, capture_output=True)
        reply = (folder / "reply").read_bytes()
        self.server.asked += 1
        self.send_response(200 if self.server.asked <= self.server.answers else 500)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def authority(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command")
    folder = tmp_path / "tsa"
    folder.mkdir()
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text("[tsa]\nserial = serial\ndefault_policy = 1.2.3.4\n"
                                    "digests = sha256, sha384, sha512\nsigner_digest = sha256\n"
                                    "accuracy = secs:1\ness_cert_id_alg = sha256\n[req]\ndistinguished_name = dn\n[dn]\n"
                                    "[v3]\nextendedKeyUsage = critical,timeStamping\nkeyUsage = critical,digitalSignature\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.pem", "-days", "10",
                    "-subj", "/O=Clock/CN=Clock", "-config", "tsa.cnf", "-extensions", "v3"], cwd=folder, check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Authority)
    server.folder, server.asked, server.answers = folder, 0, 1000
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_time_stamp_says_when_it_was_signed(mark, original, tmp_path, authority):
    mark.timestamp = f"http://127.0.0.1:{authority.server_port}/"
    path = tmp_path / "swapped.jpg"
    path.write_bytes(mark.signed(original.read_bytes(), path, original))
    assert mark.problems == [] and authority.asked == 1
    assert provenance_of(path).signed_at


def test_when_the_authority_fails_it_is_signed_without_and_told_once(mark, original, tmp_path, authority):
    mark.timestamp, authority.answers = f"http://127.0.0.1:{authority.server_port}/", 0
    for number in range(3):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(mark.signed(original.read_bytes(), path, original))
        assert provenance_of(path).state == INTACT
    assert len(mark.problems) == 1 and "time stamp" in mark.problems[0] and authority.asked == 1


def test_an_authority_that_cannot_be_reached_is_told_before_the_work(mark):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        mark.timestamp = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(FaceswapError, match="gives no time stamp"):
            mark.check()


def test_a_full_disk_leaves_the_file_as_it_was(mark, tmp_path, clips, full_disk):
    part = Path(shutil.copy(clips[0], tmp_path / "part.mp4"))
    with full_disk(1000), pytest.raises(FaceswapError, match="larger than this disk allows"):
        mark.sign(part, tmp_path / "out.mp4")
    assert file_hash(part) == file_hash(clips[0]) and not unfinished(tmp_path)


def test_nothing_of_the_network_is_asked(mark, original, tmp_path, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: pytest.fail("a connection was made"))
    path = tmp_path / "swapped.jpg"
    path.write_bytes(mark.signed(original.read_bytes(), path, original))
    assert provenance_of(path).state == INTACT


@pytest.mark.parametrize("said", [[1, 2], "words", {"consent": 5}, {"consent": [{"sha256": 1}]}, {"consent": ["x"]}, 7, None], ids=repr)
def test_a_mark_that_holds_something_else_is_told(original, tmp_path, said):
    """Well signed, but what this toolkit adds is of another form."""

    class Odd(Mark):
        def _manifest(self, path, original):
            manifest = super()._manifest(path, original)
            manifest["assertions"][-1]["data"] = said
            return manifest

    path = tmp_path / "odd.jpg"
    path.write_bytes(Odd(keys.own_identity(), {}, None, lambda: None).signed(original.read_bytes(), path, None))
    found = provenance_of(path)
    assert found.state == CHANGED and found.problems
