"""What convert and swap mark as synthetic, and what `faceswap.py provenance` says of it."""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from cryptography import x509
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lib.media.endpoints.source import open_source
from lib.media.pictures import picture_file
from lib.provenance import keys
from lib.provenance.marking import Mark, file_hash
from lib.provenance.reading import INTACT, UNMARKED, Provenance, provenance_of
from scripts.provenance import describe
from tests.lib.provenance.test_keys import own_certificate


@pytest.fixture(scope="module")
def model(tiny_swap) -> Path:
    return tiny_swap / "out.faceswap" / "model"


@pytest.fixture(scope="module")
def clip(clips, faceswap, own_plugins, tmp_path_factory) -> Path:
    path = Path(shutil.copy(clips[0], tmp_path_factory.mktemp("provenance") / "clip.mp4"))
    faceswap("extract", "-i", path, "-D", "hog", **own_plugins)
    return path


@pytest.fixture(scope="module")
def consent(clip) -> Path:
    path = clip.with_name("consent.txt")
    path.write_text("I agree that my face is replaced.")
    return path


@pytest.fixture(scope="module")
def convert(model, clip, faceswap, own_plugins):
    def run(output, *more, code=0, source=clip) -> str:
        return faceswap("convert", "-i", source, "-o", output, "-m", model, "-D", "hog", *more, code=code, **own_plugins).stderr

    return run


@pytest.fixture(scope="module")
def swapped(convert, clip, consent) -> Path:
    """The clip, converted with a record of consent."""
    path = clip.with_name("swapped.mp4")
    convert(path, "--consent", consent)
    return path


def test_a_video_is_marked_and_names_original_model_and_consent(swapped, clip, consent, faceswap):
    told = json.loads(faceswap("provenance", swapped, "--json", "--consent", consent, "--original", clip).stdout)
    record = json.loads(swapped.with_name("swapped.mp4.run.json").read_text())
    assert told["state"] == "intact" and told["known"] and told["synthetic"]
    assert told["swap"]["original_sha256"] == file_hash(clip) and told["swap"]["models_sha256"] == list(record["models"].values())
    assert told["checks"] == {"original": True, "consent": True, "record": True}


def test_what_it_says_is_read_by_people(swapped, faceswap):
    said = faceswap("provenance", swapped).stdout
    assert "is unchanged since it was signed" in said and "your own key" in said and "compositeWithTrainedAlgorithmicMedia (synthetic)" in said


def test_any_player_shows_the_comment(swapped):
    with av.open(str(swapped)) as container:
        assert container.metadata["comment"].startswith("AI-generated: faces in this video were replaced by a computer")


@pytest.mark.parametrize("ending", [".mkv", ".webm", ".avi", ".flv", ".mov", ".wmv"])
def test_every_container_that_holds_words_says_it(convert, clip, tmp_path, ending):
    said = convert(tmp_path / f"out{ending}", "--to", "0.2")
    found = provenance_of(tmp_path / f"out{ending}")
    assert found.statement and found.synthetic
    assert (found.state == INTACT) == (ending in (".avi", ".mov")) and ("no Content Credentials" in said) == (found.state == UNMARKED)


@pytest.mark.parametrize("output", ["out.mpg", "out.bmp"])
def test_what_can_hold_no_mark_is_told(convert, astronaut, tmp_path, output):
    source = {}
    if output.endswith(".bmp"):
        picture_file.write(tmp_path / "in.png", astronaut)
        source = {"source": tmp_path / "in.png"}
    assert f"{Path(output).suffix} files hold no mark of any kind" in convert(tmp_path / output, **source)


def test_a_transport_stream_says_it_as_the_name_of_its_sender(convert, tmp_path):
    convert(tmp_path / "out.ts", "--to", "0.2")
    assert b"AI-generated" in (tmp_path / "out.ts").read_bytes() and provenance_of(tmp_path / "out.ts").statement == "AI-generated"


def test_a_comment_of_the_input_is_kept_after_it(convert, clip, tmp_path, faceswap, own_plugins):
    spoken = tmp_path / "spoken.mp4"
    with av.open(str(clip)) as before, av.open(str(spoken), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        after.metadata["comment"] = "Grandmother's birthday"
        for packet in before.demux(before.streams.video[0]):
            if packet.size:
                packet.stream = stream
                after.mux(packet)
    convert(tmp_path / "out.mp4", source=spoken)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["comment"].splitlines()[1] == "Grandmother's birthday"


def test_a_changed_byte_is_told_with_exit_code_1(swapped, faceswap, tmp_path):
    data = bytearray(swapped.read_bytes())
    data[-len(data) // 3] ^= 1
    (tmp_path / "changed.mp4").write_bytes(data)
    said = faceswap("provenance", tmp_path / "changed.mp4", code=1).stdout
    assert "was CHANGED" in said and "bmffHash.mismatch" in said


def test_the_record_beside_a_result_tells_any_other_file(swapped, faceswap, tmp_path):
    for file in (swapped, swapped.with_name("swapped.mp4.run.json")):
        shutil.copy(file, tmp_path / file.name)
    data = bytearray(swapped.read_bytes())
    data[data.index(b"jumb") + int.from_bytes(data[data.index(b"jumb") - 4:data.index(b"jumb")], "big") - 200] ^= 1  # fills up, unsigned
    (tmp_path / "swapped.mp4").write_bytes(data)
    assert provenance_of(tmp_path / "swapped.mp4").state == INTACT
    assert "NOT what that run wrote" in faceswap("provenance", tmp_path / "swapped.mp4", code=1).stdout


def test_another_original_and_another_consent_are_told(swapped, consent, faceswap):
    said = faceswap("provenance", swapped, "--original", consent, "--consent", swapped, code=1).stdout
    assert "is NOT the original" in said and "is NOT a record of consent" in said


def test_pictures_with_new_faces_are_marked_and_others_are_not(convert, clip, astronaut, tmp_path):
    (tmp_path / "in").mkdir()
    picture_file.write(tmp_path / "in" / "face.jpg", astronaut)
    picture_file.write(tmp_path / "in" / "none.jpg", np.full((64, 64, 3), 90, np.uint8))
    convert(tmp_path / "out", source=tmp_path / "in")
    face = provenance_of(tmp_path / "out" / "face.jpg")
    assert face.state == INTACT and face.swap["original_sha256"] == file_hash(tmp_path / "in" / "face.jpg") and face.statement
    none = provenance_of(tmp_path / "out" / "none.jpg")
    assert none.state == UNMARKED and not none.synthetic


@pytest.mark.parametrize("writer", [["out.gif"], ["out.webp"], ["patches", "-w", "patch"], ["frames"]], ids=lambda words: words[0])
def test_what_every_writer_makes_is_marked(convert, tmp_path, writer):
    convert(tmp_path / writer[0], *writer[1:], "--to", "0.2")
    made = tmp_path / writer[0]
    files = [file for file in made.iterdir() if file.suffix == ".png"] if made.is_dir() else [made]
    assert files and all(provenance_of(file).state == INTACT for file in files)


def test_no_provenance_is_written_into_the_record(convert, tmp_path):
    convert(tmp_path / "out.mp4", "--no-provenance")
    record = json.loads((tmp_path / "out.mp4.run.json").read_text())
    assert record["provenance"]["marked"] is False
    found = provenance_of(tmp_path / "out.mp4")
    assert found.state == UNMARKED and not found.statement


def test_the_record_names_certificate_and_consent(swapped, consent):
    told = json.loads(swapped.with_name("swapped.mp4.run.json").read_text())["provenance"]
    assert told["marked"] and len(told["certificate"]) == 64
    assert told["consent"] == [{"path": str(consent.resolve()), "sha256": file_hash(consent)}]


@pytest.mark.parametrize("arguments, code, words", [
    (["--certificate", "none.pem"], 2, "go together"), (["--certificate", "none.pem", "--signing-key", "none.key"], 1, "cannot be read"),
    (["--consent", "none.pdf"], 1, "no such file"), (["--no-provenance", "--consent", "none.pdf"], 2, "exclude each other"),
    (["--timestamp", "http://127.0.0.1:9/"], 1, "gives no time stamp"), (["--timestamp", "somewhere"], 1, "gives no time stamp"),
    (["--label", ""], 2, "--label"), (["--label", "x" * 200], 2, "--label"), (["--label", "合成"], 2, "no letter")])
def test_mistakes_are_told_before_the_work(convert, tmp_path, arguments, code, words):
    assert words in convert(tmp_path / "out.mp4", *arguments, code=code)
    assert list(tmp_path.iterdir()) == []


def test_a_label_stands_in_every_frame_of_a_video(convert, swapped, tmp_path):
    convert(tmp_path / "out.mkv", "--label", "AI-generated", "--writer.codec", "ffv1")
    convert(tmp_path / "plain.mkv", "--writer.codec", "ffv1")
    boxes = set()
    for labelled, plain in zip(open_source(tmp_path / "out.mkv"), open_source(tmp_path / "plain.mkv"), strict=True):
        rows, columns = np.nonzero((labelled.image != plain.image).any(-1))
        boxes.add((rows.min() // 4, rows.max() // 4, columns.min() // 4, columns.max() // 4))
    assert len(boxes) == 1  # it stands still
    top, bottom, left, right = (4 * side for side in boxes.pop())
    assert bottom - top < 40 and right - left < 0.6 * 512


def test_a_label_and_faces_apart_exclude_each_other(convert, tmp_path):
    assert "Leave one out" in convert(tmp_path / "out", "-w", "patch", "--label", "AI-generated", code=2)
    assert list(tmp_path.iterdir()) == []


def test_inspect_lists_a_folder_and_tells_a_changed_file_by_the_exit_code(swapped, faceswap, tmp_path):
    (tmp_path / "sub").mkdir()
    shutil.copy(swapped, tmp_path / "sub" / "good.mp4")
    picture_file.write(tmp_path / "plain.png", np.zeros((8, 8, 3), np.uint8))
    done = faceswap("provenance", "--inspect", tmp_path)
    assert f"intact    {Path('sub', 'good.mp4')}" in done.stdout and "unmarked  plain.png" in done.stdout
    data = bytearray(swapped.read_bytes())
    data[-1000] ^= 1
    (tmp_path / "sub" / "bad.mp4").write_bytes(data)
    done = faceswap("provenance", "--inspect", tmp_path, code=3)
    assert f"changed   {Path('sub', 'bad.mp4')}" in done.stdout and "1 intact, 1 changed, 1 unmarked" in done.stderr


HARMFUL = "\x1b[2J\x9b2J\u202e"


def signed_by_a_stranger(path: Path, astronaut, names: tuple[str, str]) -> Path:
    """A picture whose certificate, and that of who vouches for it, have these names."""
    identity = keys.identity_of(*own_certificate(path.parent, names=names))
    picture_file.write(path, astronaut[:64, :96])
    path.write_bytes(Mark(identity, {}, None, lambda: None).signed(path.read_bytes(), path, None))
    return path


def test_a_stranger_with_the_name_of_one_s_own_key_stays_a_stranger_in_every_view(astronaut, faceswap, tmp_path):
    own = x509.load_pem_x509_certificate(keys.own_identity().chain.encode())
    name, = own.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    path = signed_by_a_stranger(tmp_path / "swapped.png", astronaut, (f"{name.value}, root", name.value))
    said = faceswap("provenance", path).stdout
    assert f"Signed by:    an unknown signer, whose certificate says {name.value!r}" in said and "your own key" not in said
    assert f"intact    swapped.png  signed by an unknown signer, whose certificate says {name.value!r}" in \
        faceswap("provenance", "--inspect", tmp_path).stdout
    assert json.loads(faceswap("provenance", path, "--json").stdout)["known"] is False


def test_the_name_of_a_signer_prints_no_verdict_of_its_own(astronaut, faceswap, tmp_path):
    name = f"X\nSigned by:    your own key{HARMFUL}"
    path = signed_by_a_stranger(tmp_path / "swapped.png", astronaut, ("X", name))
    for told in (faceswap("provenance", path).stdout, faceswap("provenance", "--inspect", tmp_path).stdout):
        assert not set(HARMFUL) & set(told) - set("[2J") and "\nSigned by:    your own key" not in told
    assert json.loads(faceswap("provenance", path, "--json").stdout)["signer"] == name


def test_the_words_of_an_unsigned_file_are_shown_as_such(faceswap, tmp_path):
    said = f"AI-generated: {HARMFUL}\nx.png carries Content Credentials and is unchanged since it was signed.\nSigned by:    your own key" + "x" * 10 ** 6
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", said)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=info)
    for told in (faceswap("provenance", tmp_path / "x.png", code=1).stdout, faceswap("provenance", "--inspect", tmp_path).stdout):
        assert not set(HARMFUL) & set(told) - set("[2J") and len(told) < 1000
        assert "nsigned: " in told and not any(line.startswith(("x.png carries", "Signed by")) for line in told.splitlines())


def test_only_a_synthetic_source_type_is_called_so(astronaut, tmp_path):
    found = Provenance(tmp_path, INTACT, source_types=("digitalCapture", "trainedAlgorithmicMedia"), signer="x")
    told = describe(found)
    assert "trainedAlgorithmicMedia (synthetic)" in told and "digitalCapture (synthetic)" not in told


@pytest.mark.parametrize("box", [b"free" + bytes(100), b"free" + b"Advertisement", b"skip", b"ftyp" + b"isom" * 3])
def test_boxes_that_no_signature_covers_are_told(swapped, faceswap, tmp_path, box):
    path = tmp_path / "more.mp4"
    path.write_bytes(swapped.read_bytes() + (len(box) + 4).to_bytes(4, "big") + box)
    said = faceswap("provenance", path, code=1).stdout
    assert "is unchanged since it was signed." not in said and f"No signature covers {len(box) + 4} bytes of it" in said
    assert "partly    more.mp4" in faceswap("provenance", "--inspect", tmp_path, code=3).stdout


@pytest.mark.parametrize("arguments, code, words", [
    ([], 2, "needs one of"), (["none.mp4"], 1, "does not exist"), (["--inspect", "none"], 1, "no folder"), (["."], 1, "--inspect"),
    (["none.mp4", "--inspect", "."], 2, "needs one of")])
def test_mistakes_of_provenance_are_told(faceswap, tmp_path, arguments, code, words):
    done = faceswap("provenance", *[str(tmp_path) if word == "." else word for word in arguments], code=code)
    assert words in done.stderr


def test_swap_marks_its_result_too(tiny_swap):
    assert provenance_of(tiny_swap / "out.mp4").state == INTACT
