"""What Prometheus may see of a service: requests as they end, and its state when it asks."""

import asyncio
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from harness.service.editing import Editor
from harness.service.jobs import Jobs

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counts of one service, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._times: defaultdict[str, _Times] = defaultdict(_Times)
        self._registry.register(_Requests(self._requests, self._times))

    def watch(self, editor: Editor, jobs: Jobs[dict[str, object]]) -> None:
        """Show the state of these whenever metrics are asked for."""
        self._registry.register(_State(editor, jobs))

    def request(self, route: str, status: int, seconds: float | None) -> None:
        """One request has ended; ``seconds`` None keeps it out of the latency histogram."""
        self._requests[route, status] += 1
        if seconds is not None:
            self._times[route].add(seconds)

    def text(self) -> bytes:
        """The exposition in Prometheus's text format."""
        return generate_latest(self._registry)


class _Times:
    """How many took how long; the last of ``counts`` is for what is slower than all buckets."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Bounds and counts of all up to each, as the exposition has them."""
        bounds = [*(str(float(bound)) for bound in BUCKETS_S), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class _Requests(Collector):
    """The requests that have ended. Plain numbers, since the library's own counters take a lock
    for each, and there is one loop only.
    """

    def __init__(
        self, requests: Mapping[tuple[str, int], int], times: Mapping[str, _Times]
    ) -> None:
        self._requests = requests
        self._times = times

    def collect(self) -> Iterable[Metric]:
        counter = CounterMetricFamily(
            "harness_requests", "Requests by route and status.", labels=["route", "status"]
        )
        for (route, status), count in self._requests.items():
            counter.add_metric([route, str(status)], count)
        yield counter
        about = "Time of successful requests; cache hits are left out."
        seconds = HistogramMetricFamily("harness_request_seconds", about, labels=["route"])
        for route, times in self._times.items():
            seconds.add_metric([route], times.cumulative(), times.sum_s)
        yield seconds


class _State(Collector):
    """Limits, queues, jobs and cache as they are at the moment of asking."""

    def __init__(self, editor: Editor, jobs: Jobs[dict[str, object]]) -> None:
        self._editor = editor
        self._jobs = jobs

    def describe(self) -> Iterable[Metric]:
        return []  # nothing to check for doubles, and no need to be asked before the start

    def collect(self) -> Iterable[Metric]:
        lanes = {"async": self._editor.admission, "threads": self._editor.threads}
        gauges: dict[str, tuple[str, Callable[..., float]]] = {
            "harness_limit": ("Edits that may be in flight.", lambda a: a.limit.limit),
            "harness_in_flight": ("Edits in flight.", lambda a: a.in_flight),
            "harness_waiting": ("Edits waiting for their turn.", lambda a: a.waiting),
        }
        for name, (about, value) in gauges.items():
            gauge = GaugeMetricFamily(name, about, labels=["lane"])
            for lane, admission in lanes.items():
                gauge.add_metric([lane], value(admission))
            yield gauge
        counters: dict[str, tuple[str, Callable[..., float]]] = {
            "harness_admitted": ("Edits that got a slot.", lambda a: a.admitted_total),
            "harness_rejected": ("Edits refused: queue full.", lambda a: a.rejected_total),
        }
        for name, (about, value) in counters.items():
            counter = CounterMetricFamily(name, about, labels=["lane"])
            for lane, admission in lanes.items():
                counter.add_metric([lane], value(admission))
            yield counter
        yield GaugeMetricFamily("harness_threads", "Threads.", value=threading.active_count())
        yield GaugeMetricFamily("harness_tasks", "Tasks.", value=len(asyncio.all_tasks()))
        yield from self._limit()
        yield from self._background()

    def _limit(self) -> Iterable[Metric]:
        """The adaptive limit's own view: what it compares, and why it moved last."""
        state = self._editor.admission.limit.state()
        for name, value in state.items():
            if isinstance(value, int | float) and name not in ("limit", "in_flight"):
                yield GaugeMetricFamily(
                    f"harness_limit_{name}", "Of the adaptive limit.", value=float(value)
                )
        reason = GaugeMetricFamily(
            "harness_limit_reason", "Why the limit moved last.", labels=["reason"]
        )
        reason.add_metric([str(state.get("reason"))], 1.0)
        yield reason

    def _background(self) -> Iterable[Metric]:
        counts = self._jobs.counts()
        yield GaugeMetricFamily("harness_jobs_active", "Jobs not ended.", value=counts.active)
        ended = CounterMetricFamily("harness_jobs", "Jobs that ended.", labels=["state"])
        ended.add_metric(["succeeded"], counts.completed)
        ended.add_metric(["failed"], counts.failed)
        ended.add_metric(["cancelled"], counts.cancelled)
        yield ended
        if (cache := self._editor.cache) is not None:
            yield GaugeMetricFamily("harness_cache_entries", "Answers kept.", value=len(cache))
            asked = CounterMetricFamily("harness_cache", "Lookups.", labels=["result"])
            asked.add_metric(["hit"], cache.hits_total)
            asked.add_metric(["miss"], cache.misses_total)
            asked.add_metric(["joined"], cache.joined_total)
            yield asked
