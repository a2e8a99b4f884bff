"""Reports of a set of faces: a table and advice, JSON, CSV, and a page with pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.evaluation.distance import Distribution
from lib.evaluation.reports import html_page
from lib.evaluation.reports.html_page import number
from lib.evaluation.sets import ALIKE, GROUPS, QUALITIES, FaceSet, Quality, advice
from lib.sampling import evenly
from lib.system.logs import counted
from lib.words import escaped, escaped_html

FORMAT = 1
SHOWN = 12  # pictures of a kind
PERCENTILES = (5, 50, 95)
NO_ADVICE = "None: no problem was distances."


@dataclass(frozen=True)
class SetScores:
    """A face set, the set that it is to serve (A's for faces of B), and its distance from a
    third.
    """

    faces: FaceSet
    needed: FaceSet | None = None
    distribution: Distribution | None = None

    def covered(self) -> dict[str, float]:
        """Per cent of the needed faces that this set has a similar face for, by group of
        qualities."""
        if not self.needed:
            return {}
        missing = {group: len(self.faces.lacking(self.needed, group)) for group in GROUPS}
        return {group: 100 * (1 - count / len(self.needed)) for group, count in missing.items()}


def table(scores: SetScores) -> str:
    """Lines for a terminal."""
    faces = scores.faces
    lines = [f"{counted(len(faces), 'face')} in {faces.name}",
             f"  {'':20} {'5 %':>8} {'median':>8} {'95 %':>8}"]
    for quality in QUALITIES:
        low, median, high = map(number, _percentiles(faces, quality))
        lines.append(f"  {quality.title:20} {low:>8} {median:>8} {high:>8}  {quality.unit}")
    lines += [f"  {title:20} {count:>8}" for title, count in _counts(faces).items()]
    if scores.needed:
        lines += ["", f"Share of the {counted(len(scores.needed), 'face')} in {scores.needed.name} "
                      "that have one like them here"]
        lines += [f"  {group.capitalize():20} {share:7.0f} %"
                  for group, share in scores.covered().items()]
    if scores.distribution:
        lines += ["", "Distance from the reference, as distributions"]
        lines += [f"  {title:30} {value:>8}  {meaning}"
                  for title, value, meaning in _distances(scores.distribution)]
    lines += ["", "Advice", *(f"  - {sentence}" for sentence in advice(faces, scores.needed)
                              or [NO_ADVICE])]
    return "\n".join(map(escaped, lines))


def write(folder: Path, scores: SetScores) -> list[Path]:
    """Writes `faces.json`, `faces.csv` and `faces.html` into `folder`. Raises FaceswapError where
    they cannot be written."""
    return html_page.write_all(folder, {
        "faces.json": json.dumps(as_json(scores), indent=1, allow_nan=False),
        "faces.csv": _csv(scores.faces), "faces.html": _page(scores)})


def as_json(scores: SetScores) -> dict[str, Any]:
    """All that the table says, as JSON values."""
    faces, needed = scores.faces, scores.needed
    values = {"format": FORMAT, "count": len(faces), "advice": advice(faces, needed),
              "qualities": {quality.key: _spread(faces, quality) for quality in QUALITIES},
              "blurred": faces.names(faces.blurred()), "strangers": faces.names(faces.strangers()),
              "duplicates": faces.names([index for index, _ in faces.duplicates])}
    if needed:
        values["covered"] = scores.covered()
        values["lacking"] = {group: needed.names(faces.lacking(needed, group)) for group in GROUPS}
    if scores.distribution:
        values["distribution"] = asdict(scores.distribution)
    return values


def _spread(faces: FaceSet, quality: Quality) -> dict[str, float]:
    return dict(zip(("low", "median", "high"), _percentiles(faces, quality).tolist()))


def _percentiles(faces: FaceSet, quality: Quality) -> np.ndarray:
    return np.percentile(faces.column(quality.key), PERCENTILES)


def _counts(faces: FaceSet) -> dict[str, int]:
    return {"Blurred": len(faces.blurred()), "Nearly the same": len(faces.duplicates),
            "Somebody else": len(faces.strangers())}


def _distances(distances: Distribution) -> list[tuple[str, str, str]]:
    """Title, value and meaning of each."""
    few = ""
    if distances.count <= 256:
        few = f" {distances.count} faces a set are few: more than 256 make it steady."
    return [("Frechet distance", number(distances.frechet), f"of {distances.count} embeddings a "
             "set; lower is better. Few faces make it too high."),
            ("the same, bias removed", number(distances.frechet_unbiased),
             f"extrapolated to infinitely many faces.{few}"),
            ("halves of the reference", number(distances.frechet_floor), "one half against the "
             "other: what chance alone gives."),
            ("KID", number(distances.kid), f"+- {number(distances.kid_deviation)}; lower is "
             "better, about 0 is the same distribution. Free of bias."),
            ("diversity", number(distances.diversity), "mean distance between two of its faces; "
             f"{number(distances.diversity_reference)} in the reference. Much less: it repeats the "
             "same faces.")]


def _csv(faces: FaceSet) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    originals = {index: faces.faces[original].name for index, original in faces.duplicates}
    strangers = set(faces.strangers())
    writer.writerow(["face", *(quality.key for quality in QUALITIES), "nearly_the_same_as",
                     "somebody_else"])
    for index, face in enumerate(faces.faces):
        writer.writerow([face.name, *(f"{face.values[quality.key]:.5g}" for quality in QUALITIES),
                         originals.get(index, ""), int(index in strangers)])
    return text.getvalue()


def _page(scores: SetScores) -> str:
    faces, needed = scores.faces, scores.needed
    sets = [faces, needed] if needed else [faces]
    colors = html_page.COLORS[1:]
    sentences = "".join(f"<li>{escaped_html(sentence)}</li>" for sentence in advice(faces, needed))
    return html_page.document(f"{counted(len(faces), 'face')} in {faces.name}", (
        f"<h2>Advice</h2><ul>{sentences or f'<li>{NO_ADVICE}</li>'}</ul><table><tr><th></th><th>5 "
        f"%</th><th>median</th><th>95 %</th><th></th></tr>{_rows(faces)}</table>"
        f"{_missing(scores)}{_reference(scores)}<h2>Distribution of the "
        f"faces</h2>{html_page.key([part.name for part in sets], colors)}{_plots(sets, colors)}"
        f"<h2>Somebody else?</h2>{_pictures(faces, faces.strangers())}<h2>Most blurred</h2>"
        f"{_most_blurred(faces)}<h2>Nearly the same</h2>{_duplicates(faces)}"))


def _rows(faces: FaceSet) -> str:
    """The rows of the table of qualities."""
    rows = []
    for quality in QUALITIES:
        low, median, high = map(number, _percentiles(faces, quality))
        rows.append(f"<tr><td>{quality.title}</td><td class=n>{low}</td><td class=n>{median}</td>"
                    f"<td class=n>{high} {quality.unit}</td><td>{escaped_html(quality.meaning)} "
                    f"<cite>{escaped_html(quality.source)}</cite></td></tr>")
    meanings = ("By the bound above.", f"As an earlier face, to {ALIKE} of 255 levels at 32 "
                                       "pixels.",
                f"Farther than {faces.same_distance:.2g} from the set's median embedding.")
    for (title, count), meaning in zip(_counts(faces).items(), meanings):
        rows.append(f"<tr><td>{title}</td><td class=n>{count}</td><td></td><td></td>"
                    f"<td>{meaning}</td></tr>")
    return "".join(rows)


def _missing(scores: SetScores) -> str:
    """What the set lacks that another needs."""
    needed = scores.needed
    parts = [f"<p>{group.capitalize()}: {share:.0f} % of the faces in {escaped_html(needed.name)} "
             f"have one like them here.</p>{_pictures(needed, scores.faces.lacking(needed, group))}"
             for group, share in scores.covered().items()]
    return f"<h2>Faces that are missing</h2>{''.join(parts)}" if needed else ""


def _reference(scores: SetScores) -> str:
    """The distance from the reference."""
    if not scores.distribution:
        return ""
    rows = "".join(f"<tr><td>{title}</td><td class=n>{value}</td><td>{meaning}</td></tr>"
                   for title, value, meaning in _distances(scores.distribution))
    return f"<h2>Distance from the reference</h2><table>{rows}</table>"


def _plots(sets: Sequence[FaceSet], colors: Sequence[str]) -> str:
    poses = [(color, np.stack([part.column("yaw"), part.column("pitch")], 1))
             for color, part in zip(colors, sets)]
    plots = [html_page.scatter("Head turned (from left to right) and raised (from the bottom to "
                               "the top), degrees", poses)]
    for quality in QUALITIES:
        columns = [(color, part.column(quality.key)) for color, part in zip(colors, sets)]
        plots.append(html_page.histogram(f"{quality.title} ({quality.unit})", columns))
    return "".join(plots)


def _most_blurred(faces: FaceSet) -> str:
    worst = [faces.faces[index] for index in np.argsort(-faces.column("blur"))[:SHOWN]]
    return "".join(html_page.figure(face.thumbnail, f"{face.name}: {number(face.values['blur'])}",
                                    "a face") for face in worst)


def _duplicates(faces: FaceSet) -> str:
    figures = []
    for places in evenly(faces.duplicates, SHOWN):
        pair = [faces.faces[place] for place in places]
        figures.append(html_page.figure(np.hstack([face.thumbnail for face in pair]),
                                        " and ".join(face.name for face in pair), "two faces"))
    return "".join(figures) or "<p>None.</p>"


def _pictures(faces: FaceSet, indices: Sequence[int]) -> str:
    shown = [faces.faces[index] for index in evenly(indices, SHOWN)]
    return "".join(html_page.figure(face.thumbnail, face.name, "a face")
                   for face in shown) or "<p>None.</p>"
