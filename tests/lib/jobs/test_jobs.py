"""What commands do can be called from Python: progress is told, and a call can be stopped."""

from __future__ import annotations

import pytest

from lib.errors import Stopped
from lib.system.progress import Progress, job, progress


@job
def count(settings: int) -> int:
    return sum(1 for _ in progress(range(settings), "count", settings))


def test_progress_is_told_to_the_caller():
    told: list[Progress] = []
    assert count(3, progress=told.append) == 3
    assert told == [Progress("count", done, 3, "frame") for done in (1, 2, 3)]


def test_a_call_stops_where_its_caller_asks():
    told: list[Progress] = []
    with pytest.raises(Stopped):
        count(9, progress=told.append, stop=lambda: len(told) == 4)
    assert len(told) == 4
    assert count(9) == 9  # the next call knows nothing of it


def test_a_job_within_a_job_is_watched_by_the_caller_of_the_outer_one():
    told: list[Progress] = []
    job(lambda settings: count(settings))(2, progress=told.append)
    assert [one.done for one in told] == [1, 2]
