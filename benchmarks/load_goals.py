"""What the load engine is to reach, held against what was measured."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.load_run import Ran

Found = Mapping[str, Mapping[str, Sequence[Ran] | str]]
"""By the name of the job and the client: its rounds, or why there are none."""

OURS = "harness"
STREAM_S = 0.68  # 50 ms to the first of 64 tokens, 10 ms between them
SMALL = (("locust", 5.0), ("wrk", 0.35), ("aiohttp", 1.0), ("AIPerf", 80.0))
STALL_S = 2.0
STALL_RATE, STALL_DELAY_S = 300, 0.02
EXACT_S, EXACT_SHARE = 0.001, 0.01


@dataclass(frozen=True, slots=True)
class Goal:
    """``value`` None: not measured. ``least``: the limit is the least that will do."""

    text: str
    value: float | None
    limit: float
    least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.value >= self.limit if self.least else self.value <= self.limit:
            return "reached"
        off = abs(self.value - self.limit)
        return f"missed by {off / self.limit:.0%}" if self.limit else f"missed by {off:.3g}"


def goals(found: Found) -> Iterator[Goal]:
    """Every goal whose job was run."""
    if small := _rounds(found, "small requests"):
        for client, ratio in SMALL:
            theirs = _rounds(found, "small requests", client)
            if theirs:
                ours = _median(small, lambda ran: ran.per_second)
                over = ours / _median(theirs, lambda ran: ran.per_second)
                yield Goal(f"small requests: ours ÷ {client}", over, ratio, least=True)
        first = _median(small, lambda ran: ran.first_s)
        yield Goal("small requests: command to first request, s", first, 0.5)
    yield from _streams(found)
    yield from _open(found)
    yield from _special(found)


def _streams(found: Found) -> Iterator[Goal]:
    wanted = ((500, 0.99, 70.0, 0.7, 1.1), (1000, 0.97, 95.0, 0.65, 0.74))
    for number, share, ttft_ms, cpu_ms, their_ms in wanted:
        name = f"{number:,} streams"
        runs = _rounds(found, name)
        if not runs:
            continue
        rate = _median(runs, lambda ran: ran.per_second)
        yield Goal(f"{name}: share of the ideal rate", rate * STREAM_S / number, share, least=True)
        cpu = _median(runs, lambda ran: ran.cpu_ms)
        yield Goal(f"{name}: processor ms a request", cpu, cpu_ms)
        if theirs := _rounds(found, name, "aiohttp"):
            # The same goal as a ratio, which a slower machine does not move.
            over = cpu / _median(theirs, lambda ran: ran.cpu_ms)
            yield Goal(f"{name}: processor time ÷ aiohttp's", over, cpu_ms / their_ms)
        yield Goal(f"{name}: TTFT p99, ms", _ms(runs, "ttft p99"), ttft_ms)
        yield Goal(f"{name}: TTFT p50 off the truth, ms", _off(runs, "ttft p50"), 1.0)
        if number == 500:
            yield Goal(f"{name}: ITL p99, ms", _ms(runs, "itl p99"), 12.0)
            yield _exact(name, runs, "itl p50")
            yield _valid(name, runs)
        else:
            yield Goal(f"{name}: ITL p50 off the truth, ms", _off(runs, "itl p50"), 0.1)
            yield Goal(f"{name}: memory, MB", _known(runs, lambda ran: ran.run_rss_mb), 120.0)


def _open(found: Found) -> Iterator[Goal]:
    for number in (300, 1000):
        name = f"open loop, {number:,}/s"
        runs = _rounds(found, name)
        if not runs:
            continue
        yield _valid(name, runs)
        yield _exact(name, runs, "response p50")
        yield _exact(name, runs, "response p99")
        if number == 1000:
            off = _median(runs, lambda ran: abs(ran.per_second / 1000 - 1))
            yield Goal(f"{name}: delivered, % off", 100 * off, 0.1)
            yield Goal(f"{name}: schedule error p99, ms", _ms(runs, "issue delay p99"), 1.0)
            yield Goal(f"{name}: reported p50 off the truth, ms", _off(runs, "response p50"), 0.3)
            yield Goal(f"{name}: reported p99 off the truth, ms", _off(runs, "response p99"), 2.0)
            yield Goal(f"{name}: share of a core", _known(runs, lambda r: r.core_share), 0.25)
    if runs := _rounds(found, "open loop, 10,000/s"):
        error = _ms(runs, "issue delay p99")
        yield Goal("open loop, 10,000/s: schedule error p99, ms", error, 3.0)


def _special(found: Found) -> Iterator[Goal]:
    if runs := _rounds(found, "trace replay"):
        spacing = _known(runs, lambda ran: ran.spacing)
        yield Goal("trace replay: inter-arrival error p99, ms", _times(spacing), 1.0)
    for name in ("stall, open loop", "stall, twenty callers"):
        if runs := _rounds(found, name):
            # Of requests evenly spread over the load, those due in the stall wait for what is left,
            # and then have waited for longer than the server takes.
            lasts = runs[0].requests / STALL_RATE
            implied = STALL_S - 0.01 * lasts
            said = _known(runs, lambda ran: ran.reported.get("response p99"))
            off = None if said is None else abs(said - implied) / implied
            yield Goal(f"{name}: response p99 off what the schedule implies", off, 0.05)
            if name != "stall, open loop":
                p99 = _ms(runs, "service p99")
                yield Goal(f"{name}: service p99, ms", p99, 2e3 * STALL_DELAY_S)
    if runs := _rounds(found, "beyond the client"):
        broken = sorted({name for ran in runs for name in ran.broken or ()})
        told = float(all(ran.broken for ran in runs))
        note = ", ".join(broken)
        yield Goal("twice what the client can do: told invalid", told, 1.0, least=True, note=note)
    few, many = _rounds(found, "few streams"), _rounds(found, "many streams")
    if few and many:
        held = [_known(runs, lambda ran: ran.run_rss_mb) or 0.0 for runs in (few, many)]
        per = (held[1] - held[0]) / (many[0].requests - few[0].requests) * 100_000
        yield Goal("memory of 100,000 finished streams, MB", per, 60.0)
    if runs := _rounds(found, "1 M requests"):
        size = f"{runs[0].requests:,} requests"
        yield Goal(f"{size}: memory with the report, MB", _median(runs, lambda r: r.rss_mb), 1000.0)
        yield Goal(f"{size}: report, s", _median(runs, lambda ran: ran.after_s), 60.0)


def _valid(name: str, runs: Sequence[Ran]) -> Goal:
    broken = sorted({check for ran in runs for check in ran.broken or ()})
    share = sum(not ran.broken for ran in runs) / len(runs)
    return Goal(f"{name}: valid rounds", share, 1.0, least=True, note=", ".join(broken))


def _exact(name: str, runs: Sequence[Ran], figure: str) -> Goal:
    """Within 1 ms or 1 % of the truth, whichever is more."""
    limit = max(EXACT_S, EXACT_SHARE * _median(runs, lambda ran: ran.true[figure]))
    return Goal(f"{name}: {figure} off the truth, ms", _off(runs, figure), 1000 * limit)


def _rounds(found: Found, job: str, client: str = OURS) -> Sequence[Ran]:
    runs = found.get(job, {}).get(client, ())
    return () if isinstance(runs, str) else runs


def _median(runs: Sequence[Ran], figure: Callable[[Ran], float]) -> float:
    return statistics.median(map(figure, runs))


def _known(runs: Sequence[Ran], figure: Callable[[Ran], float | None]) -> float | None:
    values = [value for ran in runs if (value := figure(ran)) is not None]
    return statistics.median(values) if values else None


def _off(runs: Sequence[Ran], figure: str) -> float | None:
    """How far the reported figure is from the true one, in ms."""

    def off(ran: Ran) -> float | None:
        said = ran.reported.get(figure)
        return None if said is None else abs(said - ran.true[figure])

    return _times(_known(runs, off))


def _ms(runs: Sequence[Ran], figure: str) -> float | None:
    return _times(_known(runs, lambda ran: ran.reported.get(figure)))


def _times(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
