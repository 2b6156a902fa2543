"""The engine against real sockets: loops, failures, connections, bodies, interruption."""

import contextlib
import errno
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import InputError
from harness.load import connection
from harness.load.client_health import ClientHealth
from harness.load.connection import Connection
from harness.load.engine import ClosedLoop, OpenLoop, run_load
from harness.load.glance import Glance
from harness.load.loop import Loop
from harness.load.observed import observe
from harness.load.pool import Pool
from harness.load.results import Asked, figures
from harness.load.session import open_load
from harness.load.target import Deck, Request, Target
from tests.load.raw_server import (
    DONE,
    TOKEN,
    Late,
    Peer,
    Script,
    answer_all,
    closed_port,
    deck,
    drive,
    failures,
    serve,
    streamed,
)


def answer_after(seconds: float) -> Script:
    """Answer one request a little later."""

    def script(peer: Peer) -> None:
        peer.request()
        time.sleep(seconds)
        peer.answer()

    return script


# --- loops ---


def test_a_closed_loop_keeps_its_users_busy() -> None:
    with serve(answer_all) as port:
        result = drive(port, users=3, requests=30)
    columns = result.columns
    assert failures(result) == ["none"] * 30
    assert columns.index.tolist() == list(range(30))
    assert set(columns.status) == {200}
    assert set(columns.size) == {2}
    assert len(set(columns.connection)) == 3
    assert not columns.new_connection.any()  # opened before the start
    assert np.all(columns.scheduled <= columns.sent)
    assert np.all(columns.sent <= columns.first_byte)
    assert np.all(columns.first_byte <= columns.done)
    assert np.isnan(columns.first_token).all()
    assert set(columns.tokens) == {-1}
    assert set(columns.body_at) == {-1}
    assert not result.interrupted
    assert result.client.peak_in_flight == 3
    assert columns.done.max() <= result.duration_s


def test_a_duration_ends_the_run() -> None:
    with serve(answer_all) as port:
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), ClosedLoop(2, duration_s=0.1, think_s=0.01))
    assert len(result.columns) >= 2
    assert result.columns.scheduled.max() < 0.1
    assert 0.05 < result.duration_s < 5


def test_thinking_is_not_delay() -> None:
    with serve(answer_all) as port:
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), ClosedLoop(1, requests=3, think_s=0.05))
    columns = result.columns
    assert np.allclose(columns.scheduled[1:] - columns.done[:-1], 0.05)


def test_an_open_loop_does_not_wait_for_answers() -> None:
    release = threading.Event()

    def hold(peer: Peer) -> None:
        peer.request()
        if peer.number == 5:
            release.set()
        release.wait(5)
        peer.answer()

    offsets = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]
    with serve(hold) as port:
        result = drive(port, offsets=offsets)
    columns = result.columns
    assert failures(result) == ["none"] * 6
    assert columns.scheduled == pytest.approx(offsets, abs=1e-9)
    assert np.all(columns.done > 0.04)  # all were in flight together
    assert columns.new_connection.all()
    assert result.client.peak_in_flight == 6


def test_response_time_holds_what_a_stall_did() -> None:
    stalled = threading.Lock()

    def stall(peer: Peer) -> None:
        while peer.request():
            with stalled:
                if peer.number == 0:
                    time.sleep(0.3)
            peer.answer()

    with serve(stall) as port:
        target = Target("127.0.0.1", port)
        loop = OpenLoop(np.linspace(0, 0.09, 10), max_in_flight=100)
        result = run_load(target, deck(target), loop)
    response = result.columns.done - result.columns.scheduled
    assert response[1] > 0.2
    assert (result.columns.sent - result.columns.scheduled).max() < 0.2


def test_too_many_in_flight_are_dropped_and_counted() -> None:
    with serve(answer_after(0.2)) as port:
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), OpenLoop(np.zeros(5), max_in_flight=2))
    assert sorted(failures(result)) == ["dropped"] * 3 + ["none"] * 2
    dropped = result.columns.failure == 9
    assert np.isnan(result.columns.sent[dropped]).all()
    assert not np.isnan(result.columns.scheduled).any()
    assert set(result.columns.connection[dropped]) == {-1}


def test_callers_carry_a_schedule_and_what_waits_for_them_counts() -> None:
    def slow(peer: Peer) -> None:
        while peer.request():
            time.sleep(0.2)
            peer.answer()

    with serve(slow) as port:
        target = Target("127.0.0.1", port)
        loop = OpenLoop(np.zeros(4), max_in_flight=2, waits=True, connections=2)
        result = run_load(target, deck(target), loop)
    columns, seen = result.columns, observe(result.columns)
    assert failures(result) == ["none"] * 4
    assert result.client.peak_in_flight == 2
    assert result.client.connections_opened == 2
    assert columns.scheduled.tolist() == [0.0] * 4
    assert columns.eligible[:2].tolist() == [0.0] * 2
    assert sorted(columns.eligible[2:]) == sorted(columns.done[:2])
    assert (seen.response[2:] >= 0.4).all()
    assert (seen.service < 0.39).all()
    assert (seen.issue_delay[2:] >= 0.2).all()
    assert (seen.lateness < 0.1).all()


def test_a_caller_who_was_free_before_the_moment_does_not_move_it() -> None:
    with serve(answer_all) as port:
        target = Target("127.0.0.1", port)
        loop = OpenLoop(np.array([0.0, 0.1, 0.2]), max_in_flight=1, waits=True)
        result = run_load(target, deck(target), loop)
    assert failures(result) == ["none"] * 3
    assert result.columns.eligible.tolist() == result.columns.scheduled.tolist()


def test_connections_opened_ahead_are_used_first() -> None:
    with serve(answer_all) as port:
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), OpenLoop(np.zeros(4), connections=3))
    assert result.columns.new_connection.sum() == 1
    assert result.client.connections_opened == 4


def test_opening_late_is_the_clients_own_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Pool.open

    def slow(self: Pool, made: Connection) -> None:
        opened(self, made)
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            pass

    monkeypatch.setattr(Pool, "open", slow)
    with serve(answer_all) as port:
        seen = observe(drive(port, offsets=[0.0]).columns)
        assert seen.lateness[0] > 0.29
        assert seen.response[0] > 0.29, "its schedule waited for it"
        assert seen.service[0] < 0.2
        # The network's share of the time is the server's.
        monkeypatch.setattr(connection, "opening_s", lambda _: 0.2)
        seen = observe(drive(port, offsets=[0.0]).columns)
        assert seen.service[0] > 0.2
        assert seen.lateness[0] + seen.service[0] > 0.3
        assert seen.lateness[0] > 0.09
        monkeypatch.setattr(connection, "opening_s", lambda _: None)  # not to be told
        seen = observe(drive(port, offsets=[0.0]).columns)
        assert seen.lateness[0] < 0.2
        assert seen.service[0] > 0.29


def test_opening_that_the_machine_held_up_is_no_part_of_response_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = Pool.open

    def asleep(self: Pool, made: Connection) -> None:
        opened(self, made)
        time.sleep(0.3)

    monkeypatch.setattr(Pool, "open", asleep)
    with serve(answer_all) as port:
        seen = observe(drive(port, offsets=[0.1]).columns)
        assert seen.uncounted[0] > 0.2
        assert seen.response[0] < 0.1
        monkeypatch.setattr(connection, "opening_s", lambda _: 0.3)  # the network took it
        seen = observe(drive(port, offsets=[0.1]).columns)
        assert seen.uncounted[0] < 0.1
        assert seen.response[0] > 0.29


def test_users_are_no_schedule_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Pool.open

    def slow(self: Pool, made: Connection) -> None:
        opened(self, made)
        time.sleep(0.3)

    monkeypatch.setattr(Pool, "open", slow)
    monkeypatch.setattr(Loop, "open_ahead", lambda _, __: None)
    with serve(answer_all) as port:
        seen = observe(drive(port, users=1, requests=1).columns)
    assert seen.lateness[0] > 0.29
    assert seen.response[0] == pytest.approx(seen.service[0])
    assert seen.service[0] < 0.2


def test_a_machine_that_stood_still_is_no_part_of_response_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ready = Pool.ready

    def overslept(self: Pool, wait: float) -> tuple[list[tuple[int, int]], bool]:
        found = ready(self, wait)
        if wait > 0.005 and not slept:
            slept.append(1)
            time.sleep(0.3)
        return found

    slept: list[int] = []
    with serve(answer_all) as port:
        monkeypatch.setattr(Pool, "ready", overslept)
        seen = observe(drive(port, offsets=[0.1, 0.15, 0.2, 0.8]).columns)
    assert (seen.lateness[:3] > 0.1).all()
    assert seen.uncounted[:3] == pytest.approx(seen.lateness[:3], abs=0.05)
    assert (seen.response < 0.1).all()
    assert (seen.most("response")[:3] > 0.1).all()
    assert seen.uncounted[3] < 0.05


def test_what_keeps_the_client_itself_is_part_of_response_times() -> None:
    kept: list[int] = []

    def busy(look: Callable[[], Glance]) -> None:
        if not kept:
            kept.append(1)
            until = time.perf_counter() + 0.3
            while time.perf_counter() < until:
                pass

    with serve(answer_all) as port:
        seen = observe(drive(port, offsets=[0.0, 0.15, 0.6], progress=busy).columns)
    assert seen.lateness[1] > 0.1
    assert seen.uncounted[1] < seen.lateness[1] / 2, "however busy this machine is"
    assert seen.response[1] > seen.lateness[1] / 2


def test_an_open_loop_opens_ahead_what_its_first_fifth_of_a_second_needs() -> None:
    def ahead(rate: float, most: int = 10_000, callers: int | None = None) -> int:
        load = open_load(np.arange(3 * rate) / rate + 0.5, "", most, None, callers=callers)
        assert isinstance(load.workload, OpenLoop)
        return load.workload.connections

    assert ahead(1) == 1
    assert ahead(300) == 60
    assert ahead(300, most=7) == 7
    assert ahead(20_000) == 2_000
    assert ahead(300, callers=8) == 8


def test_an_empty_schedule_is_an_empty_run() -> None:
    with serve(answer_all) as port:
        result = drive(port, offsets=[])
    assert len(result.columns) == 0
    assert len(result.columns.gaps) == 0


def test_the_latest_idle_connection_is_taken() -> None:
    with serve(answer_all) as port:
        target = Target("127.0.0.1", port)
        offsets = np.concatenate([np.zeros(3), 0.1 + np.arange(10) * 0.02])
        result = run_load(target, deck(target), OpenLoop(offsets))
    assert len(set(result.columns.connection[3:])) <= 2


# --- streams ---


def test_tokens_of_whole_answers() -> None:
    def reply(peer: Peer) -> None:
        while peer.request():
            peer.answer(b'{"usage":{"completion_tokens":41}}')

    with serve(reply) as port:
        target = Target("127.0.0.1", port, counts_tokens=True)
        result = run_load(target, deck(target), ClosedLoop(1, requests=2))
    assert result.columns.tokens.tolist() == [41, 41]


# --- failures of the network ---


def test_refused() -> None:
    result = drive(closed_port(), requests=3)
    assert failures(result) == ["connect"] * 3
    assert np.isnan(result.columns.first_byte).all()
    assert not np.isnan(result.columns.done).any()
    assert set(result.columns.status) == {0}


@pytest.mark.parametrize("dead", ["refuses", "resets"])
def test_users_do_not_spin_before_a_dead_server(dead: str) -> None:
    with serve(Peer.reset) if dead == "resets" else contextlib.nullcontext(closed_port()) as port:
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), ClosedLoop(2, duration_s=0.45))
    columns, seen = result.columns, observe(result.columns)
    assert set(failures(result)) <= {"connect", "reset"}  # a reset may come before all is open
    assert len(columns) >= 4
    assert (columns.scheduled[2:] - columns.scheduled[:-2] > 0.099).all()
    assert np.median(seen.lateness) < 0.09, "the pause is no delay of the client's"


def test_a_connection_that_broke_late_is_no_reason_to_wait() -> None:
    def reset(peer: Peer) -> None:
        peer.request()
        time.sleep(0.2)
        peer.reset()

    with serve(reset) as port:
        columns = drive(port, requests=2).columns
    assert columns.scheduled[1] == columns.done[0]


def test_a_reset_before_the_answer() -> None:
    def reset(peer: Peer) -> None:
        peer.request()
        peer.reset()

    with serve(reset) as port:
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), OpenLoop(np.zeros(2)))
    assert failures(result) == ["reset"] * 2
    assert result.client.retried == 0


def test_a_reset_in_the_answer() -> None:
    def reset(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        time.sleep(0.05)
        peer.reset()

    with serve(reset) as port:
        result = drive(port)
    assert failures(result) == ["reset"]
    assert result.columns.status.tolist() == [200]
    assert result.columns.size.tolist() == [3]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",  # aiohttp waits here
    ],
)
def test_garbage(answer: bytes) -> None:
    def talk(peer: Peer) -> None:
        peer.request()
        peer.send(answer)
        time.sleep(0.5)

    with serve(talk) as port:
        assert failures(drive(port)) == ["protocol"]


def test_a_request_that_is_never_answered() -> None:
    with serve(lambda peer: time.sleep(1)) as port:
        result = drive(port, users=2, requests=2, timeout_s=0.1)
    assert failures(result) == ["timeout"] * 2
    took = result.columns.done - result.columns.sent
    assert np.all((took >= 0.1) & (took < 0.6))


def test_an_answer_that_does_not_end_in_time() -> None:
    def begin(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        time.sleep(1)

    with serve(begin) as port:
        result = drive(port, timeout_s=0.1)
    assert failures(result) == ["timeout"]
    assert not np.isnan(result.columns.first_byte[0])


def test_a_connection_that_does_not_open() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # the queue of the listener is full after these
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), OpenLoop(np.zeros(1)), connect_timeout_s=0.1)
        for filler in fillers:
            filler.close()
    assert failures(result) == ["timeout"]


def test_no_more_sockets() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))\n"
        "from tests.load.raw_server import drive, failures\n"
        "print(*sorted(set(failures(drive({}, offsets=[0.0] * 60)))))"
    )

    with serve(answer_after(0.3)) as port:
        done = subprocess.run(
            [sys.executable, "-c", code.format(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert done.stdout.split() == ["no_socket", "none"]


@pytest.mark.parametrize(
    ("addresses", "failure"),
    [
        (["full"], "no_socket"),
        (["full", "full"], "no_socket"),
        (["full", "dead"], "no_socket"),
        (["dead", "full"], "connect"),
    ],
)
def test_no_more_local_ports(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], failure: str
) -> None:
    places = {"full": ("127.0.0.2", 80), "dead": ("127.0.0.1", closed_port())}

    class Socket(socket.socket):
        def connect_ex(self, address: Any) -> int:
            full = address == places["full"]
            return errno.EADDRNOTAVAIL if full else super().connect_ex(address)

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", places[name]) for name in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    monkeypatch.setattr(socket, "socket", Socket)
    result = drive(80, host="several.test", offsets=[0.0, 0.0])
    assert failures(result) == [failure] * 2


@pytest.mark.parametrize("name", ["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])
def test_what_this_machine_lacks_is_no_failure_of_the_servers(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def lacking(*_: object) -> None:
        raise OSError(getattr(errno, name), "none left")

    monkeypatch.setattr(Connection, "open", lacking)
    result = drive(80, users=2, requests=4)
    assert failures(result) == ["no_socket"] * 4
    assert (result.columns.scheduled[2:] > 0.099).all(), "nor a reason to spin"


def test_a_host_without_address() -> None:
    target = Target("no-such-host.invalid", 80)
    with pytest.raises(InputError, match="no-such-host"):
        run_load(target, deck(target), ClosedLoop(1, requests=1))


def test_a_system_without_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    with pytest.raises(InputError, match="Linux"):
        drive(closed_port())


# --- connections ---


def once(script: Script) -> Script:
    """On the first connection ``script``, on later ones plain answers."""

    def choose(peer: Peer) -> None:
        (script if peer.number == 0 else answer_all)(peer)

    return choose


def test_a_stale_connection_is_replaced_once() -> None:
    def one_answer(peer: Peer) -> None:
        peer.request()
        peer.answer()
        peer.request()  # the next one has come, and gets nothing

    with serve(once(one_answer)) as port:
        result = drive(port, requests=3)
    assert failures(result) == ["none"] * 3
    assert result.columns.retried.tolist() == [False, True, False]
    assert result.columns.new_connection.tolist() == [False, True, False]
    assert result.columns.connection.tolist() == [0, 1, 1]
    assert result.client.retried == 1


def test_a_retry_is_not_retried() -> None:
    def one_answer(peer: Peer) -> None:
        if peer.number == 0:
            peer.request()
            peer.answer()
        peer.request()

    with serve(one_answer) as port:
        result = drive(port, requests=2)
    assert failures(result) == ["none", "reset"]
    assert result.client.retried == 1


def test_idle_connections_that_close_are_forgotten() -> None:
    def one_answer(peer: Peer) -> None:
        peer.request()
        peer.answer()

    with serve(one_answer) as port:
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), OpenLoop(np.array([0.0, 0.2, 0.4])))
    assert failures(result) == ["none"] * 3
    assert result.client.retried == 0
    assert result.columns.new_connection.all()


def test_bytes_that_nobody_asked_for_close_an_idle_connection() -> None:
    def chatter(peer: Peer) -> None:
        peer.request()
        peer.answer()
        time.sleep(0.05)
        peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.5)

    with serve(once(chatter)) as port:
        target = Target("127.0.0.1", port)
        result = run_load(target, deck(target), OpenLoop(np.array([0.0, 0.2])))
    assert failures(result) == ["none"] * 2
    assert result.columns.connection.tolist() == [0, 1]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}surplus",
    ],
)
def test_connections_that_cannot_be_used_again(answer: bytes) -> None:
    def reply(peer: Peer) -> None:
        peer.request()
        peer.send(answer)

    with serve(reply) as port:
        result = drive(port, requests=3)
    assert failures(result) == ["none"] * 3
    assert len(set(result.columns.connection)) == 3
    assert set(result.columns.size) == {2}


def test_large_requests_go_in_parts() -> None:
    lengths = []

    def slow(peer: Peer) -> None:
        time.sleep(0.05)
        while request := peer.request():
            lengths.append(len(request))
            peer.answer()

    body = b"x" * 8_000_000
    with serve(slow) as port:
        result = drive(port, requests=2, body=body)
    assert failures(result) == ["none"] * 2
    assert min(lengths) > len(body)
    assert len(set(result.columns.connection)) == 1


def test_an_answer_before_the_request_is_whole() -> None:
    def early(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.answer(b"too large", "413 Content Too Large")
        time.sleep(0.2)

    with serve(early) as port:
        result = drive(port, requests=2, body=b"x" * 8_000_000)
    assert failures(result) == ["http_4xx"] * 2
    assert len(set(result.columns.connection)) == 2


def test_ipv6() -> None:
    try:
        with serve(answer_all, host="::1") as port:
            assert failures(drive(port, host="::1")) == ["none"]
    except OSError as error:
        pytest.skip(f"needs IPv6: {error}")


def test_the_next_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = closed_port()
    with serve(answer_all) as port:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", dead)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        result = drive(port, host="two-addresses.test", offsets=[0.0, 0.1])
    assert failures(result) == ["none"] * 2
    assert result.client.connections_opened == 2


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(cert)]
    command = ["openssl", "req", *options.split(), *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def tls(certificate: tuple[Path, Path]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's side and the client's."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    return server, ssl.create_default_context(cafile=str(certificate[0]))


def test_tls(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = tls
    large = b"y" * 300_000

    def reply(peer: Peer) -> None:
        while peer.request():
            peer.answer(large)

    with serve(reply, tls=server) as port:
        result = drive(port, users=2, requests=6, tls=client, body=b"x" * 300_000)
    assert failures(result) == ["none"] * 6
    assert set(result.columns.size) == {len(large)}
    assert len(set(result.columns.connection)) == 2
    assert result.client.unstamped == 0


def test_what_opening_tls_took_of_this_process_cannot_be_told(
    monkeypatch: pytest.MonkeyPatch, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, client = tls
    monkeypatch.setattr(connection, "opening_s", lambda _: 0.0)
    with serve(answer_all, tls=server) as port:
        seen = observe(drive(port, offsets=[0.0], tls=client).columns)
    # Its certificate alone takes longer than a request is late without further ado.
    assert seen.service[0] > 0.0005
    assert seen.lateness[0] < seen.service[0]


def test_tls_has_the_kernels_stamps_too(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    late = Late()
    with serve(late.answering, tls=tls[0]) as port:
        result = drive(port, offsets=[0.0], tls=tls[1], progress=late)
    assert failures(result) == ["none"]
    assert result.duration_s - result.columns.done[0] > 0.35


def test_tls_streams_cut_anywhere(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    whole = streamed(TOKEN, TOKEN, TOKEN, DONE)

    def stream(peer: Peer) -> None:
        while peer.request():
            for start in range(0, len(whole), 31):
                peer.send(whole[start : start + 31])

    with serve(stream, tls=tls[0]) as port:
        result = drive(port, users=3, requests=30, tls=tls[1], stream="openai")
    assert failures(result) == ["none"] * 30
    assert result.columns.token_chunks.tolist() == [3] * 30


@pytest.mark.parametrize("goodbye", [True, False])
def test_tls_that_ends_with_the_answer(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], goodbye: bool
) -> None:
    def answer(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 100_000)
        if goodbye:
            peer.sock.unwrap()  # type: ignore[attr-defined]

    with serve(answer, tls=tls[0]) as port:
        result = drive(port, requests=2, tls=tls[1])
    assert failures(result) == ["none"] * 2
    assert set(result.columns.size) == {100_000}


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_tls_that_ends_with_its_goodbye_in_the_same_segment(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], loop: str
) -> None:
    def answer(peer: Peer) -> None:
        """Answer through memory, so that the answer and the goodbye leave in one piece."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secret = tls[0].wrap_bio(incoming, outgoing, server_side=True)

        def done(step: Callable[[], object]) -> None:
            while True:
                try:
                    step()
                    return
                except ssl.SSLWantReadError:
                    peer.sock.sendall(outgoing.read())
                    incoming.write(peer.sock.recv(65536))

        done(secret.do_handshake)
        peer.sock.sendall(outgoing.read())
        done(lambda: secret.read(65536))
        secret.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        with contextlib.suppress(ssl.SSLError):
            secret.unwrap()
        peer.sock.sendall(outgoing.read())
        peer.sock.recv(65536)

    with serve(answer) as port:
        if loop == "open":
            result = drive(port, offsets=[0.0, 0.1, 0.2], tls=tls[1])
        else:
            result = drive(port, users=1, requests=3, tls=tls[1])
    assert failures(result) == ["none"] * 3
    assert result.columns.index.tolist() == [0, 1, 2]


def test_tls_that_the_server_had_closed(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    def answer(peer: Peer) -> None:
        peer.request()
        peer.answer()

    with serve(answer, tls=tls[0]) as port:
        result = drive(port, offsets=[0.0, 0.3, 0.6], tls=tls[1])
    assert failures(result) == ["none"] * 3
    assert len(set(result.columns.connection)) == 3


def test_a_tls_answer_before_the_request_is_whole(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    def early(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.answer(b"too large", "413 Content Too Large")
        time.sleep(0.2)

    with serve(early, tls=tls[0]) as port:
        result = drive(port, requests=2, body=b"x" * 8_000_000, tls=tls[1])
    assert failures(result) == ["http_4xx"] * 2


def test_a_certificate_is_verified(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with serve(answer_all, tls=tls[0]) as port:
        result = drive(port, requests=2, tls=ssl.create_default_context())
    assert failures(result) == ["connect"] * 2


def test_tls_to_a_server_without() -> None:
    with serve(lambda peer: peer.send(b"HTTP/1.1 400 Bad\r\n\r\n")) as port:
        result = drive(port, tls=ssl.create_default_context())
    assert failures(result) == ["connect"]


# --- bodies ---


def test_bodies_are_kept_as_they_came(tmp_path: Path) -> None:
    def reply(peer: Peer) -> None:
        count = 0
        while peer.request():
            count += 1
            peer.answer(b"%d " % peer.number * count)

    with serve(reply) as port:
        result = drive(port, users=3, requests=12, bodies=tmp_path / "bodies")
    assert result.bodies == tmp_path / "bodies"
    spooled = (tmp_path / "bodies").read_bytes()
    columns = result.columns
    assert len(spooled) == columns.size.sum()
    for row in range(12):
        start, size = columns.body_at[row], columns.size[row]
        assert spooled[start : start + size] == b"%d " % columns.connection[row] * (size // 2)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        drive(closed_port(), bodies=tmp_path / "nowhere" / "bodies")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full() -> None:
    with serve(answer_all) as port, pytest.raises(InputError, match="No space left"):
        drive(port, requests=3, bodies=Path("/dev/full"))


# --- interruption ---


def test_stopping_keeps_what_was_measured() -> None:
    stop = threading.Event()

    def hold(peer: Peer) -> None:
        peer.request()
        if peer.number == 0:
            peer.answer()
        stop.set()
        time.sleep(0.5)

    with serve(hold) as port:
        result = drive(port, offsets=[0.0, 0.02, 60.0], stop=stop)
    assert result.interrupted
    assert failures(result)[1:] == ["cancelled"]
    assert len(result.columns) == 2
    assert result.duration_s < 5


def test_stopping_keeps_what_still_waited_for_a_caller() -> None:
    stop = threading.Event()

    def silent(peer: Peer) -> None:
        peer.request()
        time.sleep(0.2)
        stop.set()
        time.sleep(0.5)

    with serve(silent) as port:
        target = Target("127.0.0.1", port)
        offsets = np.array([0.0, 0.0, 0.05, 0.05, 0.1, 60.0])
        loop = OpenLoop(offsets, max_in_flight=2, waits=True, connections=2)
        result = run_load(target, deck(target), loop, stop=stop)
    columns = result.columns
    assert failures(result) == ["cancelled"] * 5
    assert columns.index.tolist() == list(range(5))
    assert columns.scheduled == pytest.approx(offsets[:5])
    assert np.isnan(columns.sent).tolist() == [False] * 2 + [True] * 3
    found = figures(Asked("x", {}, 60.0), result, observe(columns))
    assert found["offered_per_s"] == pytest.approx(5 / result.duration_s)
    assert found["achieved_per_s"] == pytest.approx(2 / result.duration_s)
    broken = [check["name"] for check in found["validity"]["checks"] if not check["ok"]]
    assert {"carried_share", "complete"} <= set(broken)
    assert found["success"]["n"] == 0
    assert found["response_time_s"] is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_a_run(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def interrupt(peer: Peer) -> None:
        peer.request()
        os.kill(os.getpid(), number)
        time.sleep(0.5)

    with serve(interrupt) as port:
        result = drive(port, offsets=[0.0, 60.0])
    assert result.interrupted
    assert failures(result) == ["cancelled"]
    assert signal.getsignal(number) is before


def test_progress_is_told() -> None:
    seen: list[Glance] = []
    with serve(answer_after(0.15)) as port:
        drive(port, offsets=[0.0, 0.0, 0.3], progress=lambda look: seen.append(look()))
    assert seen[0].finished == 0
    assert seen[-1].finished >= 2
    assert {glance.failed for glance in seen} == {0}
    assert max(glance.in_flight for glance in seen) == 2
    assert len([time for glance in seen for time in glance.times_s if time > 0.1]) >= 2
    assert sum(len(glance.lag_s) for glance in seen) > 0


# --- what the client says of itself ---


def test_the_client_measures_itself() -> None:
    with serve(answer_all) as port:
        result = drive(port, users=2, requests=200)
    client = result.client
    assert client.cpu_s > 0
    assert 0 < client.cpu_share < 2
    assert len(client.loop_lag) >= 1
    assert client.loop_lag.min() >= 0
    assert client.peak_rss_mb > 1
    assert client.fd_limit >= 256
    assert client.wall_s == pytest.approx(result.duration_s, abs=0.5)


def test_a_busy_client_shows_its_lag() -> None:
    with serve(answer_all) as port:
        result = drive(port, offsets=[0.0, 0.3], progress=lambda look: time.sleep(0.1))
    assert result.client.loop_lag.max() < 10
    assert (result.columns.sent - result.columns.scheduled).max() > 0.01


def test_an_answer_that_waits_to_be_read_has_the_moment_at_which_it_came() -> None:
    late = Late()
    with serve(late.answering) as port:
        result = drive(port, offsets=[0.0], progress=late)
    columns, client = result.columns, result.client
    assert client.loop_lag.max() > 0.35
    assert result.duration_s - columns.done[0] > 0.35
    assert columns.first_byte[0] == columns.done[0]
    assert client.unstamped == 0


def test_an_answer_that_ends_with_its_connection_has_no_stamp_of_its_end() -> None:
    def answer(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n{}")

    with serve(answer) as port:
        result = drive(port, requests=2)
    assert failures(result) == ["none"] * 2
    assert result.client.unstamped == 2


def test_what_an_idle_connection_receives_is_nobodys_answer() -> None:
    def talkative(peer: Peer) -> None:
        while peer.request():
            peer.answer()
            time.sleep(0.05)
            peer.answer(b"unasked", "408 Request Timeout")

    with serve(talkative) as port:
        result = drive(port, offsets=[0.0, 0.3, 0.6])
    assert failures(result) == ["none"] * 3
    assert result.client.connections_opened == 3


def test_no_run_has_no_share() -> None:
    empty = np.array([], np.float32)
    assert ClientHealth(0, 0, empty, False, False, 0, 0, 0, 0.0, (), 1, 0, 0, 0, 1).cpu_share == 0.0


def test_requests_take_turns_and_carry_their_number() -> None:
    seen: list[bytes] = []

    def note(peer: Peer) -> None:
        while request := peer.request():
            seen.append(request)
            peer.answer()

    with serve(note) as port:
        target = Target("127.0.0.1", port)
        requests = [
            Request("GET", "/a", (), b""),
            Request("POST", "/b", (("X-A", "1"),), b"{}", ("X-Draw", "seed/")),
        ]
        result = run_load(target, Deck(target, requests, [1, 0, 1]), ClosedLoop(1, requests=4))
    host = f"Host: 127.0.0.1:{port}".encode()
    assert seen[0] == (
        b"POST /b HTTP/1.1\r\n"
        + host
        + b"\r\nX-A: 1\r\nContent-Length: 2\r\nX-Draw: seed/0\r\n\r\n{}"
    )
    assert seen[1] == b"GET /a HTTP/1.1\r\n" + host + b"\r\n\r\n"
    assert b"X-Draw: seed/2\r\n" in seen[2]
    assert b"X-Draw: seed/3\r\n" in seen[3]
    assert Deck(target, requests, [1, 0, 1]).which(result.columns.index).tolist() == [1, 0, 1, 1]
