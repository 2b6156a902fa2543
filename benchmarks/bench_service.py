"""How many requests a second the service answers, and what it adds to each: beside FastAPI and
bare aiohttp.

``python -m benchmarks.bench_service`` runs server and client on one core each, the servers in turn
and several times over, since absolute figures move from run to run and only the ratio in one run
counts. ``--json`` prints the figures for ``RESULTS.md``.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import psutil
import uvloop

from benchmarks.service_servers import ROUTE, SERVERS
from harness.scenario import load_scenarios, shipped_dir

SERVER_CORE, CLIENT_CORE = 0, 1
IN_FLIGHT = (1, 64, 512)
WORKS = ("none", "edit")
WARM_S = 0.5


@dataclass(frozen=True, slots=True)
class Figure:
    """One server under one load: requests a second, seconds of a response, the server's CPU."""

    server: str
    work: str
    in_flight: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    rss_mb: float


def _request() -> bytes:
    scenario = load_scenarios([shipped_dir() / "short"])[0]
    asked = {
        "chapterId": scenario.id,
        "story": scenario.story.to_json(),
        "editRequest": scenario.request,
    }
    body = json.dumps(asked, ensure_ascii=False).encode()
    head = f"POST {ROUTE} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Client(asyncio.Protocol):
    """One connection: a first request, whose answer ``ready`` has; and once ``begin`` is called a
    request, its answer, the next request. All clients share ``times``.
    """

    def __init__(self, request: bytes, times: list[float]) -> None:
        self._request = request
        self._times = times
        self._buffer = b""
        self._sent = 0.0
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by descent
        self.begin()

    def begin(self) -> None:
        """Send a request; the next follows its answer."""
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server answered {head[:200]!r} {body[:200]!r}")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        if len(body) < int(length):
            return
        self._buffer = b""
        if self.ready.done():
            self._times.append(time.perf_counter() - self._sent)
            self.begin()
        else:
            self.ready.set_result(None)


async def _load(url: str, in_flight: int, seconds: float, server: psutil.Process) -> Figure:
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    request, times = _request(), list[float]()
    host, port = parts.hostname or "", parts.port or 0
    clients = []
    for _ in range(in_flight):
        # One by one: uvloop accepts one connection each time it looks round, which a server that
        # is busy with those it has does so seldom that hundreds would wait for most of the time.
        transport, client = await loop.create_connection(
            lambda: _Client(request, times), host, port
        )
        await client.ready
        clients.append((transport, client))
    for _, client in clients:
        client.begin()
    await asyncio.sleep(WARM_S)
    times.clear()
    before, began = sum(server.cpu_times()[:2]), time.perf_counter()
    await asyncio.sleep(seconds)
    took, used = time.perf_counter() - began, sum(server.cpu_times()[:2]) - before
    done = sorted(times)
    if not done:
        raise SystemExit(f"{url}: no answer within {took:.1f} s; give it more --seconds")
    for transport, _ in clients:
        transport.abort()
    return Figure(
        server="",
        work="",
        in_flight=in_flight,
        per_s=len(done) / took,
        p50_ms=1e3 * statistics.median(done),
        p99_ms=1e3 * done[int(0.99 * len(done))],
        cpu_us=1e6 * used / len(done),
        rss_mb=server.memory_info().rss / 1e6,
    )


@contextmanager
def _server(name: str, work: str) -> Iterator[tuple[str, psutil.Process]]:
    command = [sys.executable, "-m", "benchmarks.service_servers", name, work, str(SERVER_CORE)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child.stdout.readline().strip(), psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


def measure(seconds: float, rounds: int) -> list[Figure]:
    """Every server under every load, in turn, ``rounds`` times; ``seconds`` each."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    found = []
    for _ in range(rounds):
        for work in WORKS:
            for name in SERVERS:
                with _server(name, work) as (url, process):
                    for in_flight in IN_FLIGHT:
                        made = uvloop.run(_load(url, in_flight, seconds, process))
                        found.append(_named(made, name, work))
    return found


def _named(figure: Figure, name: str, work: str) -> Figure:
    return Figure(**{**asdict(figure), "server": name, "work": work})


def table(figures: list[Figure]) -> str:
    """Medians over the rounds as Markdown; the ratio is that of the medians of one run."""
    lines = [
        "| work | in flight | harness, requests/s | FastAPI | aiohttp | ÷ FastAPI | ÷ aiohttp "
        "| p50/p99, ms: harness | FastAPI | aiohttp | CPU, µs: harness | FastAPI | aiohttp |",
        "|" + " --- |" * 13,
    ]

    def mid(name: str, work: str, in_flight: int, field: str) -> float:
        mine = [f for f in figures if (f.server, f.work, f.in_flight) == (name, work, in_flight)]
        return float(statistics.median(asdict(f)[field] for f in mine))

    for work in WORKS:
        for n in IN_FLIGHT:
            rates = [mid(name, work, n, "per_s") for name in SERVERS]
            cells = [f"{rate:,.0f}" for rate in rates]
            cells += [f"{rates[0] / other:.2f}" for other in rates[1:]]
            cells += [
                f"{mid(name, work, n, 'p50_ms'):.2f}/{mid(name, work, n, 'p99_ms'):.2f}"
                for name in SERVERS
            ]
            cells += [f"{mid(name, work, n, 'cpu_us'):.0f}" for name in SERVERS]
            lines.append(f"| {work} | {n} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.seconds, given.rounds)
    print(json.dumps([asdict(f) for f in figures]) if given.json else table(figures))


if __name__ == "__main__":
    main()
