"""The claim on the service's start-up: real launches."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.claims import load_claims
from harness.cli import main
from harness.errors import InputError
from harness.scenario import shipped_dir
from harness.startup import measure_startup
from tests.claims.test_claims import loaded

FILE = """
id = "starts"
sentence = "The server starts in a minute."
sentence_ko = "서버가 1분 만에 시작된다."
source = "somewhere"
kind = "absolute"
estimand = "startup_s"
value = 60.0
unit = "s"
[arms.candidate]
pipeline = "serve"
[budget]
blocks = 2
"""


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_the_time_until_it_listens_is_measured_and_the_process_ended(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    text = (
        "import signal, sys, pathlib\n"
        f"def end(*_): pathlib.Path({str(ended)!r}).touch(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('listening on http://127.0.0.1:1', flush=True)\n"
        "signal.pause()\n"
    )
    assert 0 < measure_startup(script(text)) < 60
    assert ended.exists()


@pytest.mark.parametrize(
    "text", ["raise SystemExit('no such model')", "print('hello', flush=True)"]
)
def test_a_service_that_does_not_start_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match="the service did not start"):
        measure_startup(script(text))


def test_launches_give_a_verdict_in_real_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "claim.toml", tmp_path / "out"
    file.write_text(FILE)
    assert main(["claim", str(file), "--time-scale", "0.01", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "n = 2 launches" in said
    assert "simulated" not in said
    kept = json.loads((out / "starts" / "startups.json").read_text())["startup_s"]
    assert len(kept) == 2
    found = json.loads((out / "claims.json").read_text())["claims"][0]
    assert found["estimate"] == pytest.approx(sum(kept) / 2)
    assert found["threshold"] == pytest.approx(66.0)


def test_its_plan_counts_launches(capsys: pytest.CaptureFixture[str]) -> None:
    file = shipped_dir() / "claims" / "startup-8-s.toml"
    assert main(["claim", str(file), "--plan"]) == 0
    assert "12 launches of the service" in capsys.readouterr().out
    (claim,) = load_claims([file])
    assert claim.value(0.01) == 8.0


def test_an_interruption_keeps_the_launches(tmp_path: Path) -> None:
    file, out = tmp_path / "claim.toml", tmp_path / "out"
    file.write_text(FILE.replace("blocks = 2", "blocks = 500"))
    command = [sys.executable, "-m", "harness", "claim", str(file), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "experiment 1 of 1" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads((out / "starts" / "startups.json").read_text())["startup_s"] == []


def test_only_the_service_itself_starts_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a claim on start-up"):
        loaded(tmp_path, FILE.replace('pipeline = "serve"', 'pipeline = "async"'))
