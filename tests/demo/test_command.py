"""``harness demo`` as a command: the terminal version, wrong options, and a clean end."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.cli import main
from harness.demo import children
from harness.demo.options import Options
from harness.errors import InputError
from tests.runs import start

QUICK = ("demo", "--plain", "--provider", "sim:null")
SLOW = ("demo", "--plain", "--provider", "sim:report-2025", "--time-scale", "100")
BROKEN = """\
[edit]
ttft_s = { mean = 0.0 }
total_s = { mean = 0.0 }
[summary]
ttft_s = { mean = 0.0 }
total_s = { mean = 0.0 }
[answers]
right = 0.0
malformed = 1.0
"""


def test_the_plain_version_goes_all_five_ways() -> None:
    child = start(*QUICK, "--lang", "ko")
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    assert "불꽃 마법사" in out
    for number, way in enumerate(
        ("비동기", "병렬 묶음", "스트리밍", "백그라운드 작업", "블로킹"), start=1
    ):
        assert f"\n{number}. {way}: " in out
        assert re.search(rf"\n{way} +\d+\.\d\d s +(—|\d\.\d\d s)  정답: 검사 \d개 모두 통과", out)
    assert "[-불꽃-]{+별똥+}" in out
    assert out.rstrip().endswith("다섯 가지 방식 모두 고친 이야기를 가져왔습니다.")


def test_the_plain_version_fails_when_a_way_does(tmp_path: Path) -> None:
    profile = tmp_path / "broken.toml"
    profile.write_text(BROKEN)
    child = start("demo", "--plain", "--json", "--provider", f"sim:{profile}")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "Without an edited story: Async, Parallel batch, Streaming, Background job" in err
    said = json.loads(out)
    assert said["failed"] == 5
    assert {way["state"] for way in said["ways"]} == {"failed"}
    assert {item["error"]["type"] for way in said["ways"] for item in way["results"]} == {
        "unusable_answer"
    }


def test_ctrl_c_ends_the_service_too() -> None:
    child = start(*SLOW)
    assert child.stdout is not None
    for line in child.stdout:
        if "running" in line:
            break
    left = psutil.Process(child.pid).children(recursive=True)
    assert left
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (130, "")
    assert not psutil.wait_procs(left, timeout=10)[1]


def test_a_process_on_the_leash_ends_with_its_parent() -> None:
    """Whatever ends the parent closes its end of the pipe."""
    child = subprocess.Popen(
        [sys.executable, "-um", "harness.demo.leash", "http.server", "0", "--bind", "127.0.0.1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdout, child:
        assert child.stdout.readline().startswith(b"Serving HTTP")
        child.stdin.close()
        assert child.wait(timeout=30) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--scenario", "nothing"], "nothing: no such scenario; `harness scenarios list`"),
        (["--provider", "simm"], "no such provider"),
        (["--provider", "local", "--time-scale", "2"], "--time-scale"),
        (["--time-scale", "0"], "--time-scale: is 0"),
        (["--port", "70000"], "--port: is 70000"),
        (["--lang", "fr"], "--lang"),
    ],
)
def test_wrong_options(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *options]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1


def test_without_streamlit_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "harness: the demo in the browser needs Streamlit: pip install -e '.[demo]' in the "
        "project's folder; --plain needs nothing more\n"
    )


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind((children.HOST, 0))
        taken.listen()
        assert main(["demo", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot listen" in capsys.readouterr().err


async def test_children_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="the service did not start"):
        async with children.service("sim", 1.0, None):
            raise AssertionError("it started")
    with pytest.raises(InputError, match="the page's server did not start"):
        async with children.page(Options("", "sim", 1.0, Path(), "en"), 9):
            raise AssertionError("it started")
