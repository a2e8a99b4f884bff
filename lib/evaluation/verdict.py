"""What measures say of a swap, in a sentence. It never praises a blur."""

from __future__ import annotations

from collections.abc import Mapping

BLURRED, SOFT = 0.45, 0.65  # detail, of the original's
DRAWN, ALMOST = 0.75, 0.9  # likeness of eyes and mouth, of what B's own pictures reach
NEARLY = 0.75  # distance to B of a good swap, of that from which on the recognizer takes it for another person
FAR = 5.0  # per cent of the eyes' distance by which landmarks are off
FOLLOWS = 0.7  # correlation


def verdict(values: Mapping[str, float], apart: float) -> str:
    """One sentence about measures by their keys (`measures.MEASURES`), and what to do. Those that are missing are not spoken of.

    `apart` is that of the recognizer.
    """
    detail, parts = values.get("detail"), [values[key] for key in ("parts_eyes", "parts_mouth") if key in values]
    faults = []
    if detail is not None and detail < BLURRED:
        faults.append("the face is a blur")
    elif detail is not None and detail < SOFT:
        faults.append("the face is soft")
    if parts and min(parts) < DRAWN:
        faults.append(_unlike(values))
    if values.get("distance_b", 0) > apart:
        faults.append("the recognizer does not take it for B")
    if values.get("mouth_follow", 1) < FOLLOWS:
        faults.append("the mouth does not follow")
    if values.get("eyes_follow", 1) < FOLLOWS:
        faults.append("the eyelids do not follow")
    if values.get("landmark_error", 0) > FAR:
        faults.append("eyes, mouth or brows are not where the original has them")
    if faults:
        return f"Not good yet: {', '.join(faults)}. Train longer, or use more and sharper footage of B."
    if detail is None and not parts:
        return "Without pictures of B (--reference) there is no telling how good the swap is."
    if values.get("distance_b", 1) <= NEARLY * apart and min(parts, default=0) >= ALMOST and (detail or 0) >= SOFT:
        return "Good by all measures. Look at it all the same: they do not judge hair, light and the face's edge."
    return "Passable: a face with real detail, not yet as close to B as a good swap. Look at it, and train longer if it is not enough."


def _unlike(values: Mapping[str, float]) -> str:
    eyes, mouth = (values.get(key, 1) < DRAWN for key in ("parts_eyes", "parts_mouth"))
    who = "eyes and mouth do" if eyes and mouth else "the eyes do" if eyes else "the mouth does"
    return f"{who} not look like a real picture of B"
