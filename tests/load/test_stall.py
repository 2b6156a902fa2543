"""One stall of the server as the engine sees it: against a server that tells the truth."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mock_server import read_truth, running
from harness.load.arrivals import Arrivals
from harness.load.engine import OpenLoop, run_load
from harness.load.observed import observe
from harness.load.target import Deck, Request, Target

STALL_AT, STALL_FOR, RATE, LASTS = 1.0, 0.8, 200, 4.0


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the mock server needs a C compiler")
def test_a_stall_counts_for_every_request_that_was_due_in_it(tmp_path: Path) -> None:
    offsets = Arrivals.parse(str(RATE), "constant").offsets(0, duration=LASTS, requests=None)
    log = tmp_path / "truth"
    options = ("--stall-at", str(STALL_AT), "--stall-for", str(STALL_FOR))
    with running(*options, log=log) as url:
        target = Target("127.0.0.1", int(url.rsplit(":", 1)[1]))
        deck = Deck(target, [Request("GET", "/", (), b"")])
        result = run_load(target, deck, OpenLoop(offsets))
    seen = observe(result.columns)
    assert seen.counts["ok"] == len(offsets)
    first = float(offsets[0])
    waits = np.clip(first + STALL_AT + STALL_FOR - offsets, 0, None)
    waits[offsets < first + STALL_AT] = 0
    # What the schedule implies, and nothing of it left out: with a client that waits for its
    # answers a handful of requests would have met the stall.
    expected = np.quantile(waits, 0.99)
    assert expected > 0.7
    assert np.quantile(seen.response, 0.99) == pytest.approx(expected, rel=0.1)
    assert np.mean(seen.response > 0.05) == pytest.approx(np.mean(waits > 0.05), abs=0.03)
    assert np.quantile(seen.response, 0.5) < 0.05
    assert len(read_truth(log)) == len(offsets)


CALLERS = 5


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the mock server needs a C compiler")
def test_with_callers_the_stall_is_in_the_response_times_and_not_in_the_service_times() -> None:
    offsets = Arrivals.parse(str(RATE), "constant").offsets(0, duration=LASTS, requests=None)
    with running("--stall-at", str(STALL_AT), "--stall-for", str(STALL_FOR)) as url:
        target = Target("127.0.0.1", int(url.rsplit(":", 1)[1]))
        deck = Deck(target, [Request("GET", "/", (), b"")])
        loop = OpenLoop(offsets, CALLERS, waits=True, connections=CALLERS)
        seen = observe(run_load(target, deck, loop).columns)
    assert seen.counts["ok"] == len(offsets)
    waits = np.clip(STALL_AT + STALL_FOR - offsets, 0, None)
    waits[offsets < STALL_AT] = 0
    assert np.quantile(seen.response, 0.99) == pytest.approx(np.quantile(waits, 0.99), rel=0.1)
    assert np.quantile(seen.service, 0.99) < 0.1  # of 800 requests only five were under way
    assert np.sum(seen.service > 0.5) == CALLERS
    assert np.quantile(seen.lateness, 0.99) < 0.1
