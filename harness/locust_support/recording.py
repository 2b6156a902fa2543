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
from harness.exit_codes import WRONG_INPUT
from harness.locust_support.merging import TOGETHER, merge
from harness.locust_support.parts import PartWriter
from harness.locust_support.trials import Trial, arm_of
from harness.locust_support.usage import Usage
from harness.locust_support.users import TIMEOUT_S, TRIALS, Editor
from harness.manifest import new_manifest
from harness.scenario import Scenario
from harness.store import RunWriter, read_manifest

LOG = logging.getLogger("harness")
CHOSEN = "harness_folder"  # how the master tells its workers the folder, among their options
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
        self._merging: gevent.Greenlet[[], None] | None = None
        events = environment.events
        events.test_start.add_listener(self._guarded(self._begin))
        TRIALS.add_listener(self._guarded(self._keep))
        events.test_stop.add_listener(self._guarded(self._end))
        events.quit.add_listener(self._leave)

    def _begin(self, **_: Any) -> None:
        """A test starts: the commander first, and then, told by it where, those with users."""
        runner, options = self._environment.runner, self._options
        if not isinstance(runner, WorkerRunner):
            self._wait()  # the former test may still be put together
            self._run = self._new_run(Path(options.harness_out)) if options.harness_out else None
            setattr(options, CHOSEN, self._run and str(self._run.folder.resolve()))
        if not isinstance(runner, MasterRunner) and (chosen := getattr(options, CHOSEN, None)):
            folder = Path(chosen)
            self._origin = time.perf_counter() - (time.time() - _started(folder))
            self._part = PartWriter(folder, f"{socket.gethostname()}-{os.getpid()}")
            self._usage = Usage(self._origin)

    def _keep(self, trial: Trial, **_: Any) -> None:
        if self._part is not None:
            self._part.write(trial.record(self._origin), trial.verdict.text)

    def _end(self, **_: Any) -> None:
        """A test is over here. Workers may still be stopping: the master cannot wait for them now,
        since it has yet to tell them.
        """
        if self._part is not None and self._usage is not None:
            part, self._part = self._part, None
            part.close(self._usage.ended(part.trials))
        if self._run is not None:
            run, self._run = self._run, None
            self._merging = gevent.spawn(self._guarded(partial(self._merge, run)))

    def _merge(self, run: RunWriter) -> None:
        with run:
            trials = merge(run, gevent.sleep)
        LOG.info("%d edits recorded; harness report %s", trials, run.folder)

    def _wait(self) -> None:
        if self._merging is not None:
            self._merging.join()

    def _leave(self, **_: Any) -> None:
        """The process ends; Locust has already settled on its exit code."""
        self._wait()
        if self._environment.process_exit_code == WRONG_INPUT:
            sys.exit(WRONG_INPUT)

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
        text = f"closed, {options.num_users} users, Locust"
        manifest = new_manifest(
            "locust",
            [_SECRET.sub("", word) for word in ["locust", *sys.argv[1:]]],
            {
                "scenarios": options.scenarios or [],
                "pipelines": arms,
                "provider": host,
                "concurrency": options.num_users,
                "workload": f"{text}, shape {options.shape}" if options.shape else text,
                "repeats": 1,
                "seed": None,
                "target": None,
                "timeout": TIMEOUT_S,
            },
            arms or [TOGETHER],
            self._scenarios,
            None,
        )
        manifest["provider"] = {"kind": "http", "simulated": None, "url": host}
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        segment = {"index": 0, "started": now, "ended": None, "host": socket.gethostname()}
        manifest["segments"].append(segment)
        return RunWriter.create(folder, manifest)


def _started(folder: Path) -> float:
    """When the run began, in seconds since the epoch. Raises InputError."""
    try:
        manifest = read_manifest(folder)
    except InputError as error:
        raise InputError(
            f"{error}; --harness-out must be a folder that the master and its workers share"
        ) from error
    began: str = manifest["segments"][0]["started"]
    return datetime.datetime.fromisoformat(began).timestamp()
