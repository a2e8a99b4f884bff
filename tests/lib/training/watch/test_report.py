"""The report of a training, of a model's folder as a run leaves it."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.training.watch import preview, report
from lib.training.watch.preview import write_png

OPTIONS = {"format": 1, "model": "compact", "options": {"width": 48, "latent": 256, "mask": None}, "size": 128, "coverage": "full",
           "precision": "bfloat16", "seed": 4711, "held_out": ["a_1.png", "a_2.png"],
           "faces": {"a": {"folder": "/films/ann", "count": 812}, "b": {"folder": "/films/<b>bob", "count": 1204}}}


class Parsed(HTMLParser):
    """A page's elements, its text, and every address in it."""

    def __init__(self, path: Path):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def addresses(self) -> list[str]:
        return [value for _, attributes in self.elements for name, value in attributes.items()
                if name in ("src", "href", "action", "srcset", "data", "xlink:href")]


def rows(count: int) -> list[dict]:
    found = []
    for number in range(1, count + 1):
        iteration = 10 * number
        fallen = 0.999 ** iteration
        row = {"iteration": iteration, "seconds": iteration / 30, "a": 0.02 + 0.2 * fallen, "b": 0.018 + 0.12 * fallen, "all face a": 0.03,
               "rate": 2e-4, "speed": 30.0, "images": 1920.0}
        if number % 20 == 0:
            row["progress"] = {"distance_b": 0.4 + 100 / (iteration + 400), "landmark_error": 2.345}
        found.append(row)
    return found


@pytest.fixture
def folder(tmp_path, astronaut) -> Path:
    """A model's folder after 2000 iterations."""
    folder = tmp_path / "ann as bob"
    (folder / "timelapse").mkdir(parents=True)
    (folder / "options.json").write_text(json.dumps(OPTIONS))
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows(200)))
    sheet = cv2.resize(astronaut, (256, 256))
    write_png(folder / "preview.png", sheet)
    for number in range(1, 41):
        cv2.imwrite(str(folder / "timelapse" / f"{50 * number:08d}.jpg"), sheet + np.uint8(number))
    for iteration in (1900, 2000):
        (folder / "saves" / f"{iteration:08d}").mkdir(parents=True)
        (folder / "saves" / f"{iteration:08d}" / "state.json").write_text(json.dumps({"scores": {"swap": iteration / 1e4}}))
    return folder


def written(folder: Path) -> Parsed:
    report.write(folder)
    return Parsed(folder / "report.html")


def test_tells_how_far_the_training_is(folder):
    text = written(folder).text
    assert "2,000 iterations in 67 seconds of training." in text
    assert "30.0 iterations a second, 1920 images a second." in text
    lately = np.mean([row["a"] for row in rows(200)[-10:]])
    assert f"Loss of A: {lately:.4f}, at first 0.218; B:" in text
    assert "measured at iteration 2,000" in text and "Distance to B" in text and "2.35 %" in text and "Lower is better." in text


def test_tells_what_was_trained(folder):
    text = written(folder).text
    for said in ("compact in ann as bob", "model.width48", "model.masknone", "precisionbfloat16", "seed4711", "812 in /films/ann",
                 "1204 in /films/<b>bob", "2 faces of A", "1,900 (best), 2,000"):
        assert said in text


def test_needs_nothing_else(folder):
    page = written(folder)
    assert page.addresses() and all(re.match(r"data:image/(png|jpeg);base64,", address) for address in page.addresses())
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", (folder / "report.html").read_text(encoding="utf-8"))
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert not page.all("link") and not page.all("iframe")


def test_curves_are_finite_and_short(folder):
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows(3000)))
    lines = written(folder).all("polyline")
    assert len(lines) == 7  # a, b, another loss, two measures, rate, images
    for line in lines:
        points = np.array([point.split(",") for point in line["points"].split()], float)
        assert 2 <= len(points) <= 600 and np.isfinite(points).all()
        assert (points >= 0).all() and (points[:, 0] <= report.WIDTH).all() and (points[:, 1] <= report.HEIGHT).all()


def test_losses_are_on_a_logarithmic_scale():
    halving = report.chart("Loss", [("a", [(place, 2.0 ** -place) for place in range(8)])], log=True)
    y = [float(point.split(",")[1]) for point in re.search(r'points="([^"]+)"', halving)[1].split()]
    assert np.diff(y) == pytest.approx(np.full(7, np.diff(y).mean()), abs=0.11) and np.diff(y).mean() > 0


@pytest.mark.parametrize("low, high, log, expected", [
    (-2, 0, True, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]), (-6.5, -1.5, True, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
    (0, 20_000, False, [0, 5000, 10_000, 15_000, 20_000]), (0.41, 0.47, False, [0.42, 0.44, 0.46])])
def test_ticks_are_round(low, high, log, expected):
    assert report._ticks(low, high, log) == pytest.approx(expected)


def test_time_lapse_flips_through_at_most_24_frames(folder):
    page = written(folder)
    slider, = [one for one in page.all("input") if one["type"] == "range"]
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "23", "23")
    figures = page.all("figure")[1:]  # the first is the preview
    assert len(figures) == 24 and [("hidden" in one) for one in figures] == [True] * 23 + [False]
    assert "iteration 50" in page.text and "iteration 2,000" in page.text
    last = base64.b64decode(page.all("img")[-1]["src"].partition(",")[2])
    assert last == (folder / "timelapse" / "00002000.jpg").read_bytes()


def test_names_are_no_markup(folder):
    odd = folder.with_name("<script>alert(1)<&'\"")
    folder.rename(odd)
    (odd / "options.json").write_text(json.dumps(OPTIONS | {"options": {"</table><img src=x>": "<img src=y>"}}))
    with open(odd / "log.jsonl", "a") as log:
        log.write(json.dumps({"iteration": 2010, "</svg><script>": 0.1, "<i>": 0.2, "progress": {"<b>": 1.0, "distance_b": "<u>"}}) + "\n")
        log.write(json.dumps({"iteration": 2020, "</svg><script>": 0.1, "<i>": 0.2, "progress": {"distance_b": 0.4}}) + "\n")
    page = written(odd)
    assert odd.name in page.text and "<img src=y>" in page.text and "<i>" in page.text
    assert len(page.all("script")) == 1 and not page.all("i") and not page.all("b") and not page.all("u")
    assert all(address.startswith("data:") for address in page.addresses())


def test_a_line_that_a_kill_cut_short_is_passed_over(folder):
    with open(folder / "log.jsonl", "a") as log:
        log.write('{"iteration": 2010, "seconds": 70, "a": 0.0')
    assert "2,000 iterations" in written(folder).text


def test_numbers_that_are_none_are_passed_over(folder):
    with open(folder / "log.jsonl", "a") as log:
        log.write('{"iteration": 2010, "seconds": NaN, "a": Infinity, "b": null, "rate": "fast", "progress": {"distance_b": NaN}}\n')
    page = written(folder)
    assert "2,010 iterations." in page.text and not re.search(r"\b(nan|inf)\b", page.text)
    assert all("nan" not in line["points"] and "inf" not in line["points"] for line in page.all("polyline"))


def test_a_folder_that_nothing_was_reported_of(tmp_path):
    (tmp_path / "options.json").write_text(json.dumps({"model": "compact", "options": {}}))
    page = written(tmp_path)
    assert "Nothing has been reported of this training yet." in page.text
    assert not page.all("svg") and not page.all("img") and not page.all("input")


def test_pictures_that_are_none_are_left_out(folder):
    (folder / "preview.png").write_bytes(b"\x89PNG cut short")
    for path in (folder / "timelapse").glob("*.jpg"):
        path.write_bytes(b"")
    assert not written(folder).all("img")


def test_a_long_log_makes_a_small_page(folder):
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows(100_000)))
    report.write(folder)
    assert (folder / "report.html").stat().st_size < 3_000_000


def test_the_page_before_stays_until_the_new_one_is_whole(folder, full_disk):
    report.write(folder)
    before = (folder / "report.html").read_bytes()
    with full_disk(1000), pytest.raises(OSError):
        report.write(folder)
    assert (folder / "report.html").read_bytes() == before


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(FaceswapError, match="holds no model"):
        report.write(tmp_path)


def test_a_folder_in_the_place_of_the_log(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(FaceswapError, match="cannot be read"):
        preview.read_log(tmp_path / "log.jsonl")
