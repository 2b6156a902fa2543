"""Locust behind its web UI."""

import json
from pathlib import Path
from urllib.parse import urlencode

from tests.locust.children import ask, command, free_port, recorded, started, until


def test_tests_are_started_watched_and_stopped_in_the_browser(tmp_path: Path, url: str) -> None:
    out, port = tmp_path / "run", free_port()
    ui = f"http://127.0.0.1:{port}"
    line = command(url, "--web-host", "127.0.0.1", "--web-port", str(port))
    with started(*line, "--harness-out", str(out), "Async", "Stream") as child:
        page = until("the page", lambda: ask(f"{ui}/")).decode()
        assert "harness_out" in page  # the option has a field
        assert not out.exists()

        for folder in (out, tmp_path / "run-2"):
            form = urlencode({"user_count": 6, "spawn_rate": 6, "host": url}).encode()
            assert json.loads(ask(f"{ui}/swarm", form))["success"]
            until("the run", lambda folder=folder: (folder / "run.json").exists())

            def enough() -> bool:
                stats = json.loads(ask(f"{ui}/stats/requests"))
                names = {(each["method"], each["name"]) for each in stats["stats"]}
                return ("TTFT", "/edit-scenario-stream") in names and (
                    "POST",
                    "/edit-scenario-async",
                ) in names

            until("requests of both kinds", enough)
            ask(f"{ui}/stop", b"")
            until("a whole run", lambda folder=folder: not (folder / ".parts").exists())
            assert {record.outcome for record in recorded(folder).records} <= {
                "ok",
                "cancelled",
            }
        child.terminate()
        assert child.wait(timeout=60) == 0
