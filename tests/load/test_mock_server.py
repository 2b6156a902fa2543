"""The mock server keeps the times that it is told to, and the engine reports those times."""

import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from benchmarks.mock_server import read_truth, running
from harness.load.engine import ClosedLoop, LoadResult, OpenLoop, run_load
from harness.load.target import Deck, Request, Target

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")

STREAM = b'{"messages":[],"stream":true}'


def load(
    url: str, path: str, loop: OpenLoop | ClosedLoop, body: bytes = b"{}", stream: bool = False
) -> LoadResult:
    target = Target("127.0.0.1", urlsplit(url).port or 0, None, "openai" if stream else None)
    return run_load(target, Deck(target, [Request("POST", path, (), body)]), loop)


def test_streams_against_the_servers_own_log(tmp_path: Path) -> None:
    log = tmp_path / "truth"
    options = ("--ttft-ms", "30", "--gap-ms", "5", "--tokens", "8")
    with running(*options, log=log) as url:
        loop = ClosedLoop(5, requests=20)
        result = load(url, "/v1/chat/completions", loop, STREAM, stream=True)
    columns, truth = result.columns, read_truth(log)
    assert not columns.failure.any()
    assert set(columns.token_chunks) == {8}
    assert set(columns.other_chunks) == {4}
    assert set(columns.tokens) == {8}
    assert len(truth) == 20
    # One clock: what the server wrote was read after that, and no later than a busy machine takes.
    firsts = np.sort(columns.first_token + result.started) - np.sort(truth["first"])
    dones = np.sort(columns.done + result.started) - np.sort(truth["end"])
    for late in (firsts, dones):
        assert late.min() > 0
        assert np.median(late) < 0.05
    assert np.nanmedian(columns.gaps) == pytest.approx(0.005, abs=0.004)
    assert np.all(truth["first"] - truth["arrived"] >= 0.03 - 1e-6)


def test_delays_and_whole_answers(tmp_path: Path) -> None:
    log = tmp_path / "truth"
    with running("--delay-ms", "5", log=log) as url:
        slow = load(url, "/delay/40", ClosedLoop(2, requests=4))
        other = load(url, "/anything", ClosedLoop(2, requests=4))
        chat = load(url, "/v1/chat/completions", ClosedLoop(1, requests=2))
    for result, least in ((slow, 0.04), (other, 0.005), (chat, 0.005)):
        assert not result.columns.failure.any()
        took = result.columns.done - result.columns.sent
        assert took.min() >= least
        assert np.median(took) < least + 0.1
    assert len(read_truth(log)) == 10


def test_a_planted_stall_is_in_the_response_time(tmp_path: Path) -> None:
    log = tmp_path / "truth"
    with running("--stall-at", "0.2", "--stall-for", "0.4", log=log) as url:
        result = load(url, "/x", OpenLoop(np.linspace(0, 0.6, 120)))
    columns = result.columns
    assert not columns.failure.any()
    response = columns.done - columns.scheduled
    held = response > 0.05
    # All that was scheduled in those 400 ms waited for their end, not only the first.
    assert held.sum() > 40
    assert response.max() > 0.3
    assert np.median((columns.sent - columns.scheduled)[held]) < 0.05
    # Requests have come when they came, not when the server got to them.
    arrived = np.sort(read_truth(log)["arrived"])
    assert np.abs(arrived - np.sort(columns.sent + result.started)).max() < 0.05


def test_a_server_that_does_not_know_an_option() -> None:
    started = time.perf_counter()
    with running("--no-such", "1") as url:
        assert url == ""
    assert time.perf_counter() - started < 30
