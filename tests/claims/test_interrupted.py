"""Ctrl-C in the middle of several claims."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.claims.test_claims import FILE


def test_verdicts_that_were_reached_are_kept(tmp_path: Path) -> None:
    quick = FILE.replace('id = "x"', 'id = "quick"') + "[budget]\nblocks = 2\n"
    endless = FILE.replace('id = "x"', 'id = "endless"').replace("short-en-news", "short-en-price")
    files = []
    for name, text in (("quick", quick), ("endless", endless + "[budget]\nblocks = 9999\n")):
        files.append(tmp_path / f"{name}.toml")
        files[-1].write_text(text)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "harness", "claim", *map(str, files), "--sequential"]
    process = subprocess.Popen(
        [*command, "--time-scale", "0.001", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "experiment 2 of 2" in line:
            break
    while not (out / "endless" / "records.jsonl").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "claims still open: 1; the records are kept" in complaint
    assert said.startswith("quick: ")
    kept = json.loads((out / "claims.json").read_text())["claims"]
    assert [claim["claim"] for claim in kept] == ["quick"]
