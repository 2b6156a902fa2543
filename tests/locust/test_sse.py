"""Server-sent events from lines."""

import io

from hypothesis import given
from hypothesis import strategies as st

from harness.locust_support.sse import events

ENDS = st.sampled_from([b"\n", b"\r\n"])
WORDS = st.binary(max_size=20).map(lambda text: text.replace(b"\n", b"").replace(b"\r", b""))


def heard(body: bytes) -> list[tuple[str, bytes]]:
    found = list(events(io.BytesIO(body).readline))
    assert [event.moment for event in found] == sorted(event.moment for event in found)
    return [(event.kind, event.data) for event in found]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["message", "token", "result"]), st.lists(WORDS, min_size=1), ENDS
        )
    )
)
def test_every_event_comes_back(sent: list[tuple[str, list[bytes], bytes]]) -> None:
    body = b""
    for kind, data, end in sent:
        lines = [b": said in passing", b":", b"id: 7"]
        lines += [b"event: " + kind.encode()] if kind != "message" else []
        lines += [b"data: " + line for line in data]
        body += b"".join(line + end for line in lines) + end
    assert heard(body) == [(kind, b"\n".join(data)) for kind, data, _ in sent]


def test_edges() -> None:
    assert heard(b"data:x\n\n") == [("message", b"x")]
    assert heard(b"data:  x\n\n") == [("message", b" x")]
    assert heard(b"event: token\n\ndata: x\n\n") == [("message", b"x")]  # no data, no event
    assert heard(b"data: cut off") == heard(b"data: cut off\n") == heard(b"") == []


@given(st.binary())
def test_any_bytes_are_read_to_their_end(body: bytes) -> None:
    heard(body)
