"""Packed rows come back as columns, in order, to the bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.load.columns import NAN, NEW_CONNECTION, RETRIED, Failure, Recorder
from harness.load.dialects import OpenAIEvents
from harness.load.observed import observe

ROWS = st.lists(
    st.tuples(
        st.floats(0, 1e6),
        st.sampled_from(list(Failure)),
        st.integers(0, 599),
        st.integers(0, 2**40),
        st.sampled_from([0, NEW_CONNECTION, NEW_CONNECTION | RETRIED]),
    ),
    max_size=30,
)


@given(ROWS, st.randoms(use_true_random=False))
def test_rows_in_any_order(
    rows: list[tuple[float, Failure, int, int, int]], random: object
) -> None:
    recorder = Recorder()
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for index in order:
        moment, failure, status, size, marks = rows[index]
        recorder.add(
            index, moment, moment, moment, 0.25, NAN, moment, size, -1, -1, index, status, failure,
            marks, None,
        )  # fmt: skip
    columns = recorder.columns(0.0)
    assert len(columns) == len(rows)
    assert columns.index.tolist() == list(range(len(rows)))
    assert columns.scheduled.tolist() == [row[0] for row in rows]
    assert columns.failure.tolist() == [row[1] for row in rows]
    assert columns.status.tolist() == [row[2] for row in rows]
    assert columns.size.tolist() == [row[3] for row in rows]
    assert columns.new_connection.tolist() == [bool(row[4]) for row in rows]
    assert columns.retried.tolist() == [row[4] > 1 for row in rows]
    assert columns.answered.tolist() == [row[1] == Failure.NONE for row in rows]
    assert np.isnan(columns.first_byte).all()
    assert (columns.uncounted == 0.25).all()


def test_the_latest_response_times_are_those_of_the_figures() -> None:
    recorder = Recorder()
    for index, failure in enumerate((Failure.NONE, Failure.NONE, Failure.RESET, Failure.NONE)):
        recorder.add(
            index, 10.0, 10.5, 11.0, 0.25, NAN, 12.0 + index, 0, -1, -1, 0, 200, failure, 0, None
        )
    assert recorder.latest(1, 10).tolist() == [2.75, 4.75]
    assert recorder.latest(0, 3).tolist() == [2.75, 4.75]
    assert observe(recorder.columns(10.0)).times("response").tolist() == [1.75, 2.75, 4.75]


def test_gaps_belong_to_their_requests() -> None:
    recorder = Recorder()
    chunk = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    for index, moments in ((1, (10.0, 10.5, 12.5)), (0, ()), (2, (20.0,))):
        events = OpenAIEvents()
        for moment in moments:
            events.feed(chunk, moment)
        recorder.add(index, 10.0, 10.0, 10.0, 0.0, 10.0, 13.0, 0, -1, -1, 0, 200, 0, 0, events)
    columns = recorder.columns(10.0)
    assert columns.gaps_of(0).tolist() == []
    assert columns.gaps_of(1).tolist() == [0.5, 2.0]
    assert columns.gaps_of(2).tolist() == []
    assert columns.token_chunks.tolist() == [0, 3, 1]
    assert columns.first_token[1:].tolist() == [0.0, 10.0]
    assert np.isnan(columns.first_token[0])
    assert columns.last_token[1] == 2.5


def test_a_hundred_thousand_streams_take_few_bytes() -> None:
    recorder = Recorder()
    events = OpenAIEvents()
    events.token_chunks = 64
    events.gaps.extend([0.01] * 63)
    for index in range(1000):
        recorder.add(index, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 64, -1, 0, 200, 0, 0, events)
    assert len(recorder._rows) + 4 * len(recorder._gaps) <= 1000 * 600
