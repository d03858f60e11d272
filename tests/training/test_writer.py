"""What is written beside the run is written, in order, and what goes wrong is not lost."""

from __future__ import annotations

import threading

import pytest

from teamnet.errors import ResourceError
from teamnet.training.writer import Writer


def no_room() -> None:
    raise ResourceError("x.json", expected="room for it", found="none", remedy="Make room.")


def test_one_is_written_after_the_other_while_the_run_goes_on():
    writer, may_end, written = Writer(), threading.Event(), []

    def slowly() -> None:
        may_end.wait(10)
        written.append(1)

    writer.begin(slowly)
    assert not written, "nobody waits for it"
    may_end.set()
    writer.begin(written.append, 2)
    writer.wait()
    assert written == [1, 2]
    writer.close()


@pytest.mark.parametrize("next_one", [lambda writer: writer.wait(), lambda writer: writer.begin(print)])
def test_what_went_wrong_is_raised_once(next_one):
    writer = Writer()
    writer.begin(no_room)
    with pytest.raises(ResourceError, match="x.json: expected room for it"):
        next_one(writer)
    writer.wait()
    writer.close()


def test_the_end_waits_whatever_comes_of_it():
    writer, threads = Writer(), threading.active_count()
    writer.begin(no_room)
    writer.close()
    assert threading.active_count() == threads
