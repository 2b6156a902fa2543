"""Plain Locust users at a pace of their own, for ``stall_figure``; one line a request.

Nothing of the harness: this is what Locust by itself sees. ``STALL_OUT`` names the file.
"""

import os
import time

import gevent
from locust import FastHttpUser, constant_pacing, events, task

seen: list[tuple[float, float]] = []


class Paced(FastHttpUser):
    """Asks every tenth of a second, as long as the answers let it."""

    wait_time = constant_pacing(0.1)

    @task
    def ask(self) -> None:
        self.client.get("/delay/20")


@events.init.add_listener
def look_at_the_clock(**_: object) -> None:
    """Or ``--run-time`` would be shorter by the time that starting took."""
    gevent.get_hub().loop.update_now()


@events.request.add_listener
def note(response_time: float, **_: object) -> None:
    seen.append((time.perf_counter() - response_time / 1e3, response_time / 1e3))


@events.quitting.add_listener
def keep(**_: object) -> None:
    with open(os.environ["STALL_OUT"], "w", encoding="utf-8") as file:
        file.writelines(f"{sent!r} {took!r}\n" for sent, took in seen)
