"""Listens to Locust, and keeps every edit in a run's folder as the harness keeps its own.

Each process that has users writes a part; the one that commands (the master, or the only one)
begins the run and puts the parts together once they are whole.
"""

import datetime
import logging
import os
import re
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from harness.errors import InputError
from harness.exit_codes import INVALID, WRONG_INPUT
from harness.load.greeting import find_server
from harness.locust_support.hosts import find_hosts
from harness.locust_support.merging import TOGETHER, merge
from harness.locust_support.parts import PartWriter
from harness.locust_support.shapes import RUN_S
from harness.locust_support.trials import Trial, arm_of
from harness.locust_support.usage import Usage
from harness.locust_support.users import TIMEOUT_S, TRIALS, Editor
from harness.manifest import new_manifest
from harness.scenario import Scenario
from harness.store import RunWriter, read_manifest

LOG = logging.getLogger("harness")
CHOSEN = "harness_folder"  # how the master tells its workers the folder, among their options
EARLY_S = 0.5  # by how much less than its run-time a whole test may seem to have gone on
_SECRET = re.compile(r"(?<=://)[^/@\s]*@")


class Recording:
    """One process's share in recording the tests of one Locust."""

    def __init__(self, environment: Environment, scenarios: Sequence[Scenario]) -> None:
        assert environment.parsed_options is not None
        self._environment = environment
        self._options: Namespace = environment.parsed_options
        self._scenarios = scenarios
        self._run: RunWriter | None = None
        self._part: PartWriter | None = None
        self._usage: Usage | None = None
        self._origin = 0.0
        self._began = 0.0
        self._whole = True
        self._merging: gevent.Greenlet[[], None] | None = None
        events = environment.events
        events.test_start.add_listener(self._guarded(self._begin))
        events.spawning_complete.add_listener(self._guarded(self._all_there))
        TRIALS.add_listener(self._guarded(self._keep))
        events.test_stopping.add_listener(self._stopping)
        events.test_stop.add_listener(self._guarded(self._end))
        events.quit.add_listener(self._leave)

    def _begin(self, **_: Any) -> None:
        """A test starts: the commander first, and then, told by it where, those with users."""
        runner, options = self._environment.runner, self._options
        find_hosts(self._environment)
        if not isinstance(runner, WorkerRunner):
            self._began = time.monotonic()
            self._wait()  # the former test may still be put together
            self._run = self._new_run(Path(options.harness_out)) if options.harness_out else None
            setattr(options, CHOSEN, self._run and str(self._run.folder.resolve()))
        if not isinstance(runner, MasterRunner) and (chosen := getattr(options, CHOSEN, None)):
            folder = Path(chosen)
            self._origin = time.perf_counter() - (time.time() - _started(folder))
            self._part = PartWriter(folder, f"{socket.gethostname()}-{os.getpid()}")
            self._usage = Usage(self._origin)

    def _all_there(self, **_: Any) -> None:
        """The last user has come, for the first time in this test: the warm-up is over."""
        if self._run is not None:
            segment = self._run.manifest["segments"][0]
            if segment.get("spawned", 0.0) is None:
                segment["spawned"] = time.time() - _epoch(segment["started"])
                self._run.save_manifest()

    def _keep(self, trial: Trial, **_: Any) -> None:
        if self._part is not None:
            self._part.write(trial.record(self._origin), trial.verdict.text)

    def _stopping(self, **_: Any) -> None:
        """A test is to end now; its users may be given time for what they wait for."""
        options = self._options
        wanted = options.run_time or (RUN_S if options.shape else 0.0)
        self._whole = time.monotonic() - self._began >= wanted - EARLY_S

    def _end(self, **_: Any) -> None:
        """A test is over here. Workers may still be stopping: the master cannot wait for them now,
        since it has yet to tell them.
        """
        if self._part is not None and self._usage is not None:
            part, self._part = self._part, None
            part.close(self._usage.ended(part.trials))
        if self._run is not None:
            run, self._run = self._run, None
            run.manifest["segments"][0]["ended"] = _now("milliseconds")
            self._merging = gevent.spawn(self._guarded(partial(self._merge, run)))

    def _merge(self, run: RunWriter) -> None:
        with run:
            trials = merge(run, gevent.sleep, whole=self._whole)
        if not trials:
            LOG.error("%s: no edit was recorded", run.folder)
            self._environment.process_exit_code = INVALID
            return
        if run.manifest["segments"][0].get("spawned", 0.0) is None:
            LOG.warning("the test ended before all users were there, so all is warm-up: raise -r")
        LOG.info("%d edits recorded; harness report %s", trials, run.folder)

    def _wait(self) -> None:
        if self._merging is not None:
            self._merging.join()

    def _leave(self, **_: Any) -> None:
        """The process ends; Locust has already settled on its exit code."""
        self._wait()
        if self._environment.process_exit_code:
            sys.exit(self._environment.process_exit_code)

    def _guarded(self, listener: Callable[..., None]) -> Callable[..., None]:
        """``listener``, whose failure ends the test with one clear line: no records, no test."""

        def heard(**what: Any) -> None:
            try:
                listener(**what)
            except InputError as error:
                self._part = None
                LOG.error("%s", error)
                self._environment.process_exit_code = WRONG_INPUT
                self._give_up()

        return heard

    def _give_up(self) -> None:
        runner, options = self._environment.runner, self._options
        assert runner is not None
        leave = runner.quit if options.headless or options.worker else runner.stop
        gevent.spawn(leave)  # not from within the event that is being fired

    def _new_run(self, wanted: Path) -> RunWriter:
        """The folder of a run, begun. Behind the web UI every test after the first has its own."""
        options = self._options
        folder, number = wanted, 1
        while not options.headless and (folder / "run.json").exists():
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
        users = self._environment.user_classes
        arms = sorted({arm_of(user.path) for user in users if issubclass(user, Editor)})
        host = _SECRET.sub("", self._environment.host or "")
        manifest = new_manifest(
            "locust",
            [_SECRET.sub("", word) for word in ["locust", *sys.argv[1:]]],
            {
                "scenarios": options.scenarios,
                "pipelines": arms,
                "provider": host,
                "concurrency": options.num_users,
                "workload": _workload(options),
                "repeats": 1,
                "seed": None,
                "target": None,
                "timeout": TIMEOUT_S,
            },
            arms or [TOGETHER],
            self._scenarios,
            None,
        )
        model = find_server(host).service() if host else {}
        manifest["provider"] = {"kind": "http", "simulated": None, "url": host, **model}
        segment = {"index": 0, "started": _now("microseconds"), "ended": None}
        segment["host"] = socket.gethostname()
        if not options.shape:  # a shape goes up and down on purpose: none of it is warm-up
            segment["spawned"] = None
        manifest["segments"].append(segment)
        return RunWriter.create(folder, manifest)


def _workload(options: Namespace) -> str:
    """How many users, how fast they come, and for how long: ``closed, 20 users, Locust, …``."""
    parts = ["closed", f"{options.num_users} users", "Locust"]
    if options.shape:
        parts.append(f"shape {options.shape}")
    else:
        parts.append(f"{options.spawn_rate or 1:g} more each second")
    if seconds := options.run_time or (RUN_S if options.shape else None):
        parts.append(f"{seconds:g} s")
    return ", ".join(parts)


def _now(timespec: str) -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec=timespec)


def _epoch(stamp: str) -> float:
    return datetime.datetime.fromisoformat(stamp).timestamp()


def _started(folder: Path) -> float:
    """When the run began, in seconds since the epoch. Raises InputError."""
    try:
        manifest = read_manifest(folder)
    except InputError as error:
        raise InputError(
            f"{error}; --harness-out must be a folder that the master and its workers share"
        ) from error
    return _epoch(manifest["segments"][0]["started"])
