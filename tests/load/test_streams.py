"""Streams against real sockets: received through the ring or read one by one, told or parsed."""

import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.load import intake, pool, spotting
from harness.load.client_health import RunQueue
from harness.load.connection import Connection
from harness.load.intake import LATE_S
from harness.load.ring import Ring, make_ring
from harness.load.spotting import HELD
from tests.load.raw_server import (
    DONE,
    END,
    STREAM_HEAD,
    TOKEN,
    Late,
    Peer,
    Script,
    chunked,
    drive,
    failures,
    serve,
    streamed,
)


@pytest.fixture(params=["ring", "ring, parsed", "recvmsg", "recvmsg, parsed"], autouse=True)
def receiving(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways, where the kernel allows the first two; ``parsed``: without the C code."""
    if request.param.endswith("parsed"):
        monkeypatch.setattr(spotting, "_library", None)
    elif spotting._library is None:
        assert shutil.which("cc") is None, "make .venv/dev compiles it"
        pytest.skip("no C compiler")
    monkeypatch.setattr(intake, "FEW", 1)
    if request.param.startswith("recvmsg"):
        monkeypatch.setattr(pool, "make_ring", lambda: None)
    elif (ring := make_ring()) is None:
        pytest.skip("no io_uring here")
    else:
        ring.close()
    return str(request.param)


def begin(peer: Peer, tokens: int, apart_s: float) -> None:
    """The head of an answer, and so many tokens, each after a while."""
    peer.send(STREAM_HEAD)
    for _ in range(tokens):
        time.sleep(apart_s)
        peer.send(chunked(TOKEN))


def token(text: str) -> bytes:
    """An event with a text that differs from others in length."""
    return b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text.encode()


def test_a_stream_is_stamped_and_counted() -> None:
    def stream(peer: Peer) -> None:
        while peer.request():
            usage = b'data: {"choices":[],"usage":{"completion_tokens":5}}\n\n'
            peer.send(streamed(TOKEN)[:-5])
            for _ in range(3):
                time.sleep(0.05)
                peer.send(chunked(TOKEN))
            time.sleep(0.05)
            peer.send(chunked(usage, DONE) + END)

    with serve(stream) as port:
        result = drive(port, requests=2, stream="openai")
    columns = result.columns
    assert failures(result) == ["none"] * 2
    assert columns.token_chunks.tolist() == [4, 4]
    assert columns.other_chunks.tolist() == [2, 2]
    assert columns.tokens.tolist() == [5, 5]
    for row in range(2):
        gaps = columns.gaps_of(row)
        assert len(gaps) == 3
        assert gaps.min() >= 0
        assert gaps.sum() == pytest.approx(columns.last_token[row] - columns.first_token[row], 1e-3)
    assert np.all(columns.first_token <= columns.last_token)
    assert np.all(columns.last_token <= columns.done)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (streamed(TOKEN, DONE), "none"),
        (streamed(TOKEN), "truncated"),
        (streamed(), "truncated"),
        (streamed(TOKEN, b'data: {"error":{"message":"no"}}\n\n', DONE), "protocol"),
        (streamed(TOKEN, DONE)[:-5], "none"),  # what breaks after the end does not matter
        (streamed(TOKEN)[:-5], "truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "truncated"),
        (b"HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\n{}", "http_5xx"),
    ],
)
def test_how_streams_end(answer: bytes, failure: str) -> None:
    def reply(peer: Peer) -> None:
        peer.request()
        peer.send(answer)

    with serve(reply) as port:
        assert failures(drive(port, stream="openai")) == [failure]


def test_bodies_of_chunked_answers_are_decoded(tmp_path: Path) -> None:
    def reply(peer: Peer) -> None:
        peer.request()
        peer.send(streamed(TOKEN, DONE))

    with serve(reply) as port:
        drive(port, stream="openai", bodies=tmp_path / "bodies")
    assert (tmp_path / "bodies").read_bytes() == TOKEN + DONE


def test_chunks_that_are_read_together_are_counted_when_the_loop_was_late() -> None:
    late = Late()

    def stream(peer: Peer) -> None:
        peer.request()
        late.hold()
        begin(peer, 3, 0.02)
        peer.send(chunked(DONE) + END)
        late.released.set()
        peer.request()

    with serve(stream) as port:
        result = drive(port, offsets=[0.0], stream="openai", progress=late)
    assert failures(result) == ["none"]
    assert result.columns.token_chunks.tolist() == [3]
    # The last one too, since it was read with the end, which may have come later.
    assert (result.client.merged, result.client.first_merged) == (3, 1)
    assert np.isnan(result.columns.gaps).tolist() == [True, True]
    assert np.isnan(result.columns.last_token).all()
    assert result.columns.first_lost.tolist() == [True]


def test_chunks_laid_aside_among_which_some_were_read_together() -> None:
    late = Late(wanted=False)

    def stream(peer: Peer) -> None:
        peer.request()
        begin(peer, 3, 0.03)
        late.hold()
        for _ in range(6):
            time.sleep(0.01)
            peer.send(chunked(TOKEN))
        late.released.set()
        time.sleep(0.02)
        peer.send(chunked(TOKEN))
        time.sleep(0.02)
        peer.send(chunked(DONE) + END)
        peer.request()

    with serve(stream) as port:
        result = drive(port, offsets=[0.0], stream="openai", progress=late)
    gaps = result.columns.gaps
    assert failures(result) == ["none"]
    assert result.columns.token_chunks.tolist() == [10]
    assert (result.client.merged, result.client.first_merged) == (5, 0)
    assert np.isnan(gaps).nonzero()[0].tolist() == [2, 3, 4, 5, 6, 7]
    assert gaps[8] > 0.01  # since the last one's moment is known
    assert gaps[:2].min() > 0.01
    assert not result.columns.first_lost.any()


def test_a_chunk_that_waits_to_be_read_has_the_moment_at_which_it_came() -> None:
    late = Late(wanted=False)

    def stream(peer: Peer) -> None:
        peer.request()
        peer.send(STREAM_HEAD, chunked(TOKEN))
        time.sleep(0.12)
        late.hold()
        peer.send(chunked(TOKEN))
        time.sleep(0.3)
        late.released.set()
        time.sleep(0.05)
        peer.send(chunked(DONE) + END)
        peer.request()

    with serve(stream) as port:
        result = drive(port, offsets=[0.0], stream="openai", progress=late)
    [gap] = result.columns.gaps.tolist()
    assert 0.1 < gap < 0.3


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 408 X\r\nContent-Length: 0\r\n\r\n"])
def test_what_comes_to_an_idle_connection_is_no_answer_to_the_next_request(
    monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    """It comes before the next request is due, and is read in a turn that lasts beyond that."""
    due = threading.Event()

    def taken(*arguments: Any) -> Any:
        found = take(*arguments)
        if found and due.is_set():
            time.sleep(0.5)
        return found

    def receiving(self: Connection, *arguments: Any) -> None:
        opened(self, *arguments)
        receive = self.receive
        self.receive = lambda *room: taken_from(receive, *room)

    def taken_from(receive: Any, *room: int) -> Any:
        found = receive(*room)
        if due.is_set():
            time.sleep(0.5)
        return found

    take, opened = Ring.take, Connection.open
    monkeypatch.setattr(Ring, "take", taken)
    monkeypatch.setattr(Connection, "open", receiving)

    def stream(peer: Peer) -> None:
        peer.request()
        peer.send(streamed(TOKEN, DONE))
        if peer.number == 0:
            time.sleep(0.3)
            due.set()
            if says:
                peer.send(says)
                time.sleep(0.6)
            peer.sock.close()
            time.sleep(0.05)
            due.clear()
        else:
            peer.request()

    with serve(stream) as port:
        result = drive(port, offsets=[0.0, 0.6], stream="openai")
    assert failures(result) == ["none", "none"]
    assert result.client.connections_opened == 2
    assert result.client.retried == 0


def test_a_token_that_waits_until_the_end_of_its_stream_has_lost_its_moment() -> None:
    late = Late()

    def stream(peer: Peer) -> None:
        peer.request()
        late.hold()
        peer.send(STREAM_HEAD, chunked(TOKEN))
        time.sleep(0.3)
        peer.send(chunked(DONE) + END)
        late.released.set()
        peer.request()

    with serve(stream) as port:
        result = drive(port, offsets=[0.0], stream="openai", progress=late)
    assert result.columns.token_chunks.tolist() == [1]
    assert (result.client.merged, result.client.first_merged) == (1, 1)
    assert result.columns.first_lost.tolist() == [True]
    assert result.columns.first_token[0] > 0.3, "by then it had come"


def test_chunks_that_come_together_are_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    # However busy this machine is.
    monkeypatch.setattr(RunQueue, "waited_s", lambda _: 0.0)
    monkeypatch.setattr(intake, "LATE_S", 1.0)

    def stream(peer: Peer) -> None:
        peer.request()
        peer.send(streamed(TOKEN, TOKEN, DONE))

    with serve(stream) as port:
        result = drive(port, offsets=[0.0, 0.01], stream="openai")
    assert result.columns.token_chunks.tolist() == [2, 2]
    assert result.client.merged == 0
    assert result.columns.gaps.tolist() == [0.0, 0.0]
    assert not result.columns.first_lost.any()


def test_chunks_that_come_together_while_others_have_the_processor_may_not_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RunQueue, "waited_s", lambda _: 2 * LATE_S)

    def stream(peer: Peer) -> None:
        peer.request()
        peer.send(streamed(TOKEN, TOKEN, DONE))

    with serve(stream) as port:
        result = drive(port, offsets=[0.0, 0.01], stream="openai")
    assert result.client.merged == 4


def test_many_streams_are_read_together_and_none_is_lost(receiving: str) -> None:
    def stream(peer: Peer) -> None:
        while peer.request():
            begin(peer, 5, 0.005)
            peer.send(chunked(DONE) + END)

    with serve(stream) as port:
        result = drive(port, users=40, requests=120, stream="openai")
    assert failures(result) == ["none"] * 120
    assert result.columns.token_chunks.tolist() == [5] * 120
    assert result.client.io_uring == receiving.startswith("ring")
    assert result.client.compiled != receiving.endswith("parsed")


def test_long_answers_are_kept_as_they_came(tmp_path: Path) -> None:
    """More chunks than are laid aside, one of them of another shape, some without a token."""
    events = [token("가" * (1 + i % 40)) for i in range(2 * HELD)]
    events[HELD // 2] = b'data: {"choices":[{"delta":{"role":"x","content":"b"}}]}\n\n'
    events[HELD // 2 + 9] = token("")

    def stream(peer: Peer) -> None:
        peer.request()
        peer.send(STREAM_HEAD)
        for event in events:
            time.sleep(0.001)
            peer.send(chunked(event))
        peer.send(chunked(DONE) + END)

    with serve(stream) as port:
        result = drive(port, stream="openai", bodies=tmp_path / "bodies")
    columns = result.columns
    assert failures(result) == ["none"]
    assert (tmp_path / "bodies").read_bytes() == b"".join([*events, DONE])
    assert columns.size.tolist() == [sum(map(len, events)) + len(DONE)]
    assert columns.token_chunks.tolist() == [2 * HELD - 1]
    assert columns.other_chunks.tolist() == [2]
    assert np.nanmin(columns.gaps) >= 0  # NaN where a busy machine read some together
    assert len(columns.gaps) == 2 * HELD - 2
    assert 0 < np.nansum(columns.gaps) <= columns.done[0] - columns.first_token[0] + 1e-4
    assert result.client.unstamped == 0


@pytest.mark.parametrize(
    ("end", "failure"),
    [
        (Peer.reset, "reset"),
        (lambda peer: peer.sock.close(), "truncated"),
        (lambda peer: peer.send(b"zz\r\n"), "protocol"),
        (lambda peer: time.sleep(0.8), "timeout"),
    ],
)
def test_what_came_before_a_stream_broke_counts(end: Script, failure: str) -> None:
    def stream(peer: Peer) -> None:
        peer.request()
        begin(peer, 5, 0.01)
        time.sleep(0.05)
        end(peer)

    with serve(stream) as port:
        result = drive(port, stream="openai", timeout_s=0.4)
    columns = result.columns
    assert failures(result) == [failure]
    assert columns.token_chunks.tolist() == [5]
    assert columns.last_token[0] - columns.first_token[0] > 0.03
    assert columns.done[0] >= columns.last_token[0]


def test_what_came_before_a_run_was_stopped_counts() -> None:
    stop = threading.Event()

    def stream(peer: Peer) -> None:
        peer.request()
        begin(peer, 5, 0.01)
        time.sleep(0.1)
        stop.set()
        peer.request()

    with serve(stream) as port:
        result = drive(port, stream="openai", stop=stop)
    assert failures(result) == ["cancelled"]
    assert result.columns.token_chunks.tolist() == [5]


def test_bytes_after_the_end_that_look_like_a_chunk_end_the_connection() -> None:
    def stream(peer: Peer) -> None:
        while peer.request():
            begin(peer, 3, 0.01)
            peer.send(chunked(DONE), END)
            time.sleep(0.01)
            peer.send(chunked(TOKEN))

    with serve(stream) as port:
        result = drive(port, offsets=[0.0, 0.3], stream="openai")
    assert failures(result) == ["none"] * 2
    assert result.columns.token_chunks.tolist() == [3, 3]
    assert result.client.connections_opened == 2


def test_a_chunk_that_is_cut_anywhere_is_whole() -> None:
    wire = chunked(*[TOKEN] * 4)

    def stream(peer: Peer) -> None:
        while peer.request():
            peer.send(STREAM_HEAD, chunked(TOKEN))
            cut = peer.number + 1
            for at in range(0, len(wire), cut):
                time.sleep(0.0005)
                peer.send(wire[at : at + cut])
            peer.send(chunked(DONE) + END)

    with serve(stream) as port:
        result = drive(port, users=40, requests=40, stream="openai")
    assert failures(result) == ["none"] * 40
    assert result.columns.token_chunks.tolist() == [5] * 40


def test_an_answer_larger_than_a_piece_of_memory(tmp_path: Path) -> None:
    large = token("a" * 100_000)

    def stream(peer: Peer) -> None:
        peer.request()
        peer.send(streamed(TOKEN, large, TOKEN, DONE))

    with serve(stream) as port:
        result = drive(port, stream="openai", bodies=tmp_path / "bodies")
    assert failures(result) == ["none"]
    assert (tmp_path / "bodies").read_bytes() == TOKEN + large + TOKEN + DONE
    assert result.columns.token_chunks.tolist() == [3]


def test_a_request_that_the_server_is_slow_to_take() -> None:
    """The socket's room is used up; the rest goes when there is some."""
    body = b"x" * 6_000_000

    def stream(peer: Peer) -> None:
        time.sleep(0.2)
        while request := peer.request():
            assert request.endswith(body)
            peer.send(streamed(TOKEN, DONE))

    with serve(stream) as port:
        result = drive(port, requests=2, body=body, stream="openai")
    assert failures(result) == ["none"] * 2


def test_a_connection_that_never_took_its_request_is_gone_from_the_poll() -> None:
    """Nobody accepts: the first fills the queue, the second cannot be opened in time."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        result = drive(
            listener.getsockname()[1],
            requests=2,
            body=b"x" * 8_000_000,
            stream="openai",
            timeout_s=1.0,
            connect_timeout_s=0.3,
        )
    columns = result.columns
    assert failures(result) == ["timeout", "timeout"]
    assert (columns.done - columns.sent)[1] < 0.8
