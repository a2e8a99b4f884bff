"""The verdict on a swap, in a sentence. It never praises a blur."""

from __future__ import annotations

from collections.abc import Mapping

BLURRED, SOFT = 0.45, 0.65  # detail, as a share of the original's
# Likeness of eyes and mouth to B's, as a share of what B's own pictures reach
UNLIKE, LIKE = 0.75, 0.9
NEAR = 0.75  # distance to B of a good swap, as a share of the recognizer's `same_distance`
FAR = 5.0  # landmark error, per cent of the distance between the eyes
FOLLOWS = 0.7  # correlation


def verdict(values: Mapping[str, float], same_distance: float) -> str:
    """What the values of measures (by the keys of `measures.MEASURES`) mean, and what to do.

    `same_distance` is the distance from which on the recognizer tells two people apart.
    """
    detail = values.get("detail")
    parts = [values[key] for key in ("parts_eyes", "parts_mouth") if key in values]
    faults = []
    if detail is not None and detail < BLURRED:
        faults.append("the face is a blur")
    elif detail is not None and detail < SOFT:
        faults.append("the face is soft")
    if parts and min(parts) < UNLIKE:
        faults.append(_unlike(values))
    if values.get("distance_b", 0) > same_distance:
        faults.append("the recognizer does not take it for B")
    if values.get("mouth_follow", 1) < FOLLOWS:
        faults.append("the mouth does not follow")
    if values.get("eyes_follow", 1) < FOLLOWS:
        faults.append("the eyelids do not follow")
    if values.get("landmark_error", 0) > FAR:
        faults.append("eyes, mouth or brows are not where they are in the original")
    if faults:
        return (f"Not good yet: {', '.join(faults)}. Train longer, or use more and sharper footage "
                "of B.")
    if detail is None and not parts:
        return "Without pictures of B (--reference) the quality of the swap cannot be judged."
    is_near = values.get("distance_b", 1) <= NEAR * same_distance
    if is_near and min(parts, default=0) >= LIKE and (detail or 0) >= SOFT:
        return ("Good by all measures. Look at it yourself too: they do not judge hair, light and "
                "the face's edge.")
    return ("Passable: the face has real detail, but is not yet as close to B as a good swap. Look "
            "at it yourself; train longer if that is not enough.")


def _unlike(values: Mapping[str, float]) -> str:
    eyes, mouth = (values.get(key, 1) < UNLIKE for key in ("parts_eyes", "parts_mouth"))
    subject = "eyes and mouth do" if eyes and mouth else "the eyes do" if eyes else "the mouth does"
    return f"{subject} not look like a real picture of B"
