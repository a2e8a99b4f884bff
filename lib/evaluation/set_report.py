"""What is said of a set of faces: a table and advice, JSON, CSV, and a page with pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.evaluation import html_page
from lib.evaluation.distance import Distribution
from lib.evaluation.html_page import number
from lib.evaluation.sets import ALIKE, GROUPS, QUALITIES, FaceSet, advice
from lib.sampling import evenly
from lib.system.logs import counted
from lib.words import escaped, escaped_html

FORMAT = 1
SHOWN = 12  # pictures of a kind
PERCENTILES = (5, 50, 95)
NO_ADVICE = "None: nothing is amiss that can be told from here."


@dataclass(frozen=True)
class SetScores:
    """A face set, the set that it must serve (A's, where this is B's), and how far it is from a third as a distribution."""

    faces: FaceSet
    needed: FaceSet | None = None
    distribution: Distribution | None = None

    def covered(self) -> dict[str, float]:
        """Per cent of the needed faces that have one like them here, by group of qualities."""
        if not self.needed:
            return {}
        return {group: 100 * (1 - len(self.faces.lacking(self.needed, group)) / len(self.needed)) for group in GROUPS}


def table(scores: SetScores) -> str:
    """Lines for a terminal."""
    faces = scores.faces
    lines = [f"{counted(len(faces), 'face')} in {faces.name}", f"  {'':20} {'5 %':>8} {'median':>8} {'95 %':>8}"]
    for quality in QUALITIES:
        spread = [number(value) for value in np.percentile(faces.column(quality.key), PERCENTILES)]
        lines.append(f"  {quality.title:20} {spread[0]:>8} {spread[1]:>8} {spread[2]:>8}  {quality.unit}")
    lines += [f"  {title:20} {count:>8}" for title, count in _counts(faces).items()]
    if scores.needed:
        lines += ["", f"Share of the {counted(len(scores.needed), 'face')} in {scores.needed.name} that have one like them here"]
        lines += [f"  {group.capitalize():20} {share:7.0f} %" for group, share in scores.covered().items()]
    if scores.distribution:
        lines += ["", "Distance from the reference, as distributions", *(f"  {title:30} {value:>8}  {meaning}"
                                                                        for title, value, meaning in _distances(scores.distribution))]
    lines += ["", "Advice", *(f"  - {sentence}" for sentence in advice(faces, scores.needed) or [NO_ADVICE])]
    return "\n".join(map(escaped, lines))


def write(folder: Path, scores: SetScores) -> list[Path]:
    """`faces.json`, `faces.csv` and `faces.html` in `folder`. Raises FaceswapError where they cannot be written."""
    return html_page.write_all(folder, {"faces.json": json.dumps(as_json(scores), indent=1, allow_nan=False), "faces.csv": _csv(scores.faces),
                                   "faces.html": _page(scores)})


def as_json(scores: SetScores) -> dict[str, Any]:
    """All that the table says, for programs."""
    faces = scores.faces
    said = {"format": FORMAT, "count": len(faces), "advice": advice(faces, scores.needed),
            "qualities": {quality.key: dict(zip(("low", "median", "high"), np.percentile(faces.column(quality.key), PERCENTILES).tolist()))
                          for quality in QUALITIES},
            **{kind: [faces.faces[index].name for index in indices] for kind, indices in
               (("blurred", faces.blurred()), ("strangers", faces.strangers()), ("duplicates", [row for row, _ in faces.duplicates]))}}
    if scores.needed:
        said["covered"] = scores.covered()
        said["lacking"] = {group: [scores.needed.faces[index].name for index in faces.lacking(scores.needed, group)] for group in GROUPS}
    if scores.distribution:
        said["distribution"] = asdict(scores.distribution)
    return said


def _counts(faces: FaceSet) -> dict[str, int]:
    return {"Blurred": len(faces.blurred()), "Nearly the same": len(faces.duplicates), "Somebody else": len(faces.strangers())}


def _distances(found: Distribution) -> list[tuple[str, str, str]]:
    """Title, value and meaning of each."""
    few = f" {found.count} faces a set are few: more than 256 make it steady." if found.count <= 256 else ""
    return [("Frechet distance", number(found.frechet), f"of {found.count} embeddings a set; lower is better. Few faces make it too high."),
            ("the same, bias taken out", number(found.frechet_unbiased), f"as endlessly many faces would have it.{few}"),
            ("halves of the reference", number(found.frechet_floor), "one half against the other: what chance alone makes."),
            ("KID", number(found.kid), f"+- {number(found.kid_deviation)}; lower is better, about 0 is one distribution. Free of bias."),
            ("diversity", number(found.diversity), f"mean distance between two of its faces; {number(found.diversity_reference)} in the "
                                                   "reference. Much less: the same faces again and again.")]


def _csv(faces: FaceSet) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    twins = {row: faces.faces[other].name for row, other in faces.duplicates}
    strangers = set(faces.strangers())
    writer.writerow(["face", *(quality.key for quality in QUALITIES), "nearly_the_same_as", "somebody_else"])
    for index, face in enumerate(faces.faces):
        writer.writerow([face.name, *(f"{face.values[quality.key]:.5g}" for quality in QUALITIES),
                         twins.get(index, ""), int(index in strangers)])
    return text.getvalue()


def _page(scores: SetScores) -> str:
    faces, needed = scores.faces, scores.needed
    sentences = "".join(f"<li>{escaped_html(sentence)}</li>" for sentence in advice(faces, needed))
    rows = "".join(f"<tr><td>{quality.title}</td><td class=n>{number(low)}</td><td class=n>{number(middle)}</td><td class=n>{number(high)} "
                   f"{quality.unit}</td><td>{escaped_html(quality.meaning)} <cite>{escaped_html(quality.source)}</cite></td></tr>"
                   for quality in QUALITIES for low, middle, high in [np.percentile(faces.column(quality.key), PERCENTILES)])
    rows += "".join(f"<tr><td>{title}</td><td class=n>{count}</td><td></td><td></td><td>{meaning}</td></tr>" for (title, count), meaning in
                    zip(_counts(faces).items(), ("By the bound above.", f"As an earlier face, to {ALIKE} of 255 levels at 32 pixels.",
                                                 f"Farther than {faces.apart:.2g} from the set's median embedding.")))
    columns = (faces, needed) if needed else (faces,)
    colors = html_page.COLORS[1:]
    plots = "".join(html_page.histogram(f"{quality.title} ({quality.unit})",
                                   [(color, part.column(quality.key)) for color, part in zip(colors, columns)]) for quality in QUALITIES)
    poses = html_page.scatter("Head turned (from left to right) and raised (from the bottom to the top), degrees",
                         [(color, np.stack([part.column("yaw"), part.column("pitch")], 1)) for color, part in zip(colors, columns)])
    shares = "".join(f"<p>{group.capitalize()}: {share:.0f} % of the faces in {escaped_html(needed.name)} have one like them here.</p>"
                     f"{_pictures(needed, faces.lacking(needed, group))}" for group, share in scores.covered().items())
    far = "".join(f"<tr><td>{title}</td><td class=n>{value}</td><td>{meaning}</td></tr>"
                  for title, value, meaning in _distances(scores.distribution)) if scores.distribution else ""
    twins = "".join(html_page.figure(np.hstack([one.thumbnail for one in pair]), " and ".join(one.name for one in pair), "two faces")
                    for pair in [[faces.faces[place] for place in places] for places in evenly(faces.duplicates, SHOWN)])
    blurry = "".join(html_page.figure(face.thumbnail, f"{face.name}: {number(face.values['blur'])}", "a face")
                     for face in [faces.faces[index] for index in np.argsort(-faces.column("blur"))[:SHOWN]])
    return html_page.document(f"{counted(len(faces), 'face')} in {faces.name}", (
        f"<h2>Advice</h2><ul>{sentences or f'<li>{NO_ADVICE}</li>'}</ul>"
        f"<table><tr><th></th><th>5 %</th><th>median</th><th>95 %</th><th></th></tr>{rows}</table>"
        f"{f'<h2>Faces that are lacking</h2>{shares}' if needed else ''}"
        f"{f'<h2>Distance from the reference</h2><table>{far}</table>' if far else ''}"
        f"<h2>How the faces are spread</h2>{html_page.key([part.name for part in columns], colors)}{poses}{plots}"
        f"<h2>Somebody else?</h2>{_pictures(faces, faces.strangers())}<h2>Most blurred</h2>"
        f"{blurry}<h2>Nearly the same</h2>{twins or '<p>None.</p>'}"))


def _pictures(faces: FaceSet, indices: Sequence[int]) -> str:
    shown = [faces.faces[index] for index in evenly(indices, SHOWN)]
    return "".join(html_page.figure(face.thumbnail, face.name, "a face") for face in shown) or "<p>None.</p>"

