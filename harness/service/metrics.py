"""What Prometheus may see of a service: requests as they end, and its state when it asks."""

import asyncio
import threading
from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from harness.service.editing import Editor
from harness.service.jobs import Jobs

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counts of one service, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "harness_requests", "Requests by route and status.", ("route", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "harness_request_seconds",
            "Time of successful requests; cache hits are left out.",
            ("route",),
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        # Looking a labelled child up costs more than counting with it.
        self._counts: dict[tuple[str, int], Callable[[], None]] = {}
        self._times: dict[str, Callable[[float], None]] = {}

    def watch(self, editor: Editor, jobs: Jobs[dict[str, object]]) -> None:
        """Show the state of these whenever metrics are asked for."""
        self._registry.register(_State(editor, jobs))

    def request(self, route: str, status: int, seconds: float | None) -> None:
        """One request has ended; ``seconds`` None keeps it out of the latency histogram."""
        count = self._counts.get((route, status))
        if count is None:
            count = self._requests.labels(route, str(status)).inc
            self._counts[route, status] = count
        count()
        if seconds is not None:
            observe = self._times.get(route)
            if observe is None:
                observe = self._times[route] = self._seconds.labels(route).observe
            observe(seconds)

    def text(self) -> bytes:
        """The exposition in Prometheus's text format."""
        return generate_latest(self._registry)


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
