"""Users of the edit service, one kind for every route that edits.

    harness serve --port 8000 --provider sim:report-2025 --time-scale 0.02
    locust -H http://127.0.0.1:8000 --headless -u 20 -r 20 -t 1m --harness-out reports/locust
    locust -H http://127.0.0.1:8000 Stream            (the web UI, users of one kind)

A wrong edit is a failure, under the name of the check that it failed. See docs/load-locust.md.
"""

from locust import between, events, task

from harness.locust_support.plugin import install
from harness.locust_support.users import Editor

install(events)


class Async(Editor):
    """Edits, and awaits the answer whole."""

    path = "/edit-scenario-async"
    weight = 4
    wait_time = between(0.5, 1.5)

    @task
    def edit(self) -> None:
        self.ask()


class Fallback(Async):
    """The same on the route that every client of the original service knows."""

    path = "/edit-scenario"
    weight = 4


class Sync(Async):
    """The same on the blocking baseline."""

    path = "/edit-scenario-sync"
    weight = 1


class Stream(Editor):
    """Reads the edit as it is written."""

    path = "/edit-scenario-stream"
    weight = 3
    wait_time = between(0.5, 1.5)

    @task
    def edit(self) -> None:
        self.stream()


class Batch(Editor):
    """Has several stories edited at once."""

    path = "/edit-scenarios"
    weight = 1
    wait_time = between(2, 4)

    @task
    def edit(self) -> None:
        self.batch(items=3)


class Jobs(Editor):
    """Has stories edited in the background, and now and then thinks better of it."""

    path = "/jobs"
    weight = 2
    wait_time = between(0.5, 1.5)

    @task(9)
    def edit(self) -> None:
        self.job()

    @task(1)
    def give_up(self) -> None:
        self.given_up_job()
