"""The moments at which requests are due, open and closed."""

import numpy as np
import pytest

from harness.errors import InputError
from harness.load.pacing import NEVER, ClosedLoop, ClosedPacer, OpenLoop, OpenPacer, make_pacer


def test_an_open_loop_keeps_its_schedule() -> None:
    pacer = make_pacer(OpenLoop(np.array([0.0, 0.5, 0.5, 2.0])))
    assert isinstance(pacer, OpenPacer)
    assert pacer.due == NEVER
    pacer.begin(100.0)
    taken = []
    while pacer.due != NEVER:
        taken.append(pacer.take())
        pacer.freed(500.0)
    assert taken == [100.0, 100.5, 100.5, 102.0]


def test_an_open_loop_stops() -> None:
    pacer = OpenPacer(OpenLoop(np.arange(3.0)))
    pacer.begin(0.0)
    pacer.take()
    pacer.stop()
    assert pacer.due == NEVER


def test_an_empty_schedule() -> None:
    pacer = OpenPacer(OpenLoop(np.array([])))
    pacer.begin(0.0)
    assert pacer.due == NEVER


def test_users_wait_for_their_answers() -> None:
    pacer = make_pacer(ClosedLoop(2, requests=4, think_s=0.25))
    assert isinstance(pacer, ClosedPacer)
    pacer.begin(10.0)
    assert [pacer.take(), pacer.take()] == [10.0, 10.0]
    assert pacer.due == NEVER
    pacer.freed(11.0)
    assert pacer.take() == 11.25
    pacer.freed(12.0)
    assert pacer.take() == 12.25
    pacer.freed(13.0)
    assert pacer.due == NEVER


def test_users_start_spread() -> None:
    pacer = ClosedPacer(ClosedLoop(4, requests=8, spread_s=1.0))
    pacer.begin(0.0)
    assert pacer.take() == 0.0
    pacer.freed(0.1)
    assert [pacer.take() for _ in range(4)] == [0.1, 0.25, 0.5, 0.75]


def test_a_duration_ends_a_closed_loop() -> None:
    pacer = ClosedPacer(ClosedLoop(1, duration_s=1.0))
    pacer.begin(5.0)
    pacer.take()
    pacer.freed(5.9)
    assert pacer.due == 5.9
    pacer.take()
    pacer.freed(6.0)
    assert pacer.due == NEVER


def test_a_closed_loop_stops() -> None:
    pacer = ClosedPacer(ClosedLoop(3, requests=9))
    pacer.begin(0.0)
    pacer.take()
    pacer.stop()
    pacer.freed(1.0)
    assert pacer.due == NEVER


@pytest.mark.parametrize("offsets", [[1.0, 0.5], [-1.0, 0.0], [0.0, float("nan")], [float("inf")]])
def test_a_schedule_that_cannot_be_kept(offsets: list[float]) -> None:
    with pytest.raises(InputError, match="schedule"):
        OpenLoop(np.array(offsets))


def test_other_settings_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="in flight"):
        OpenLoop(np.zeros(1), max_in_flight=0)
    with pytest.raises(InputError, match="user"):
        ClosedLoop(0, requests=1)
    with pytest.raises(InputError, match="end"):
        ClosedLoop(1)
