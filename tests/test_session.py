"""Sessions from end to end: in process and over HTTP alike, resumed, and failing in one line."""

import asyncio
import json
import os
import resource
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.clock import run_loop
from harness.errors import InputError
from harness.execute import record
from harness.exit_codes import INTERRUPTED, OK, WRONG_INPUT
from harness.providers import Provider, make_provider
from harness.records import Answer, TrialRecord
from harness.session import new_session, resumed_session
from harness.store import MANIFEST, RunWriter, read_answers, read_manifest, read_run
from tests.runs import KEY, SHORT, finish, simulator, start

SECRET = "sk-not-to-be-written-4711"
PROFILE = """\
[edit]
ttft_s = { mean = 0.12, cv = 0.3 }
total_s = { mean = 0.8, cv = 0.25 }
[summary]
ttft_s = { mean = 0.08, cv = 0.3 }
total_s = { mean = 0.2, cv = 0.25 }
[answers]
right = 0.55
wrong = 0.2
malformed = 0.15
truncated = 0.1
[dress]
fenced = 0.3
wrapped = 0.1
chatty = 0.2
[faults]
http_5xx = 0.1
rate_limited = 0.1
"""
FAST = {"scenarios": [SHORT], "time_scale": 0.005, "repeats": 1, "warmup": 0}


def said(trial: TrialRecord) -> tuple[Any, ...]:
    """All of a record that does not depend on time or on the connection."""
    return (
        trial.outcome,
        trial.error and trial.error.type,
        trial.malformed,
        trial.checks,
        trial.usage,
        trial.summary,
        [(a.call, a.finish_reason, a.status, a.stopped_early) for a in trial.attempts],
    )


def run(folder: Path, **values: Any) -> bool:
    session = new_session({**FAST, **values})
    with RunWriter.create(folder, session.manifest(["harness", "run"])) as writer:
        return run_loop(record(session, writer, lambda trial: None))


def test_in_process_and_over_http_answers_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "mixed.toml"
    profile.write_text(PROFILE, "utf-8")
    common = ["--scenarios", SHORT, "--pipelines", "sync,async,batched,streaming,fallback"]
    common += ["--repeats", "1", "--warmup", "0", "--seed", "7"]
    scale = ["--time-scale", "0.005"]
    with simulator("--profile", str(profile), *scale, "--require-key", key=SECRET) as url:
        monkeypatch.setenv(KEY, SECRET)
        over_http = [*common, "--provider", url, "--out", str(tmp_path / "http")]
        assert main(["run", *over_http]) == OK
    inside = [*common, *scale, "--provider", f"sim:{profile}", "--out", str(tmp_path / "sim")]
    assert main(["run", *inside]) == OK
    capsys.readouterr()

    runs = [read_run(tmp_path / name) for name in ("sim", "http")]
    in_process, http = ({trial.trial: said(trial) for trial in each.records} for each in runs)
    assert len(in_process) == 5 * 8
    assert http == in_process
    assert {outcome[0] for outcome in http.values()} == {"ok", "wrong", "malformed", "error"}
    sim_texts, http_texts = (
        {(a.trial, a.attempt): a.text for a in read_answers(each.folder)} for each in runs
    )
    # A stream that is closed early has gone on for a while over the network.
    early = {
        (trial.trial, i)
        for trial in runs[0].records
        for i, attempt in enumerate(trial.attempts)
        if attempt.stopped_early
    }
    assert sim_texts.keys() == http_texts.keys()
    assert all(sim_texts[key] == http_texts[key] for key in sim_texts.keys() - early)

    sim_provider, http_provider = (each.manifest["provider"] for each in runs)
    assert (http_provider["url"], http_provider["simulated"]) == (url, True)
    assert http_provider["time_scale"] == sim_provider["time_scale"] == 0.005
    summary = json.loads((tmp_path / "http" / "summary.json").read_text("utf-8"))
    assert summary["client_error_s"]["n"] > 50
    assert summary["client_error_s"]["p50"] > 0
    files = list((tmp_path / "http").iterdir())
    assert len(files) >= 6
    assert all(SECRET.encode() not in file.read_bytes() for file in files)


def test_a_run_is_written_whole(tmp_path: Path) -> None:
    seen: list[TrialRecord] = []
    session = new_session({**FAST, "pipelines": ["async", "batched"], "aa": True})
    with RunWriter.create(tmp_path, session.manifest(["harness", "run", "a b"])) as writer:
        assert run_loop(record(session, writer, seen.append))
    found = read_run(tmp_path)
    assert session.total == len(seen) == 24
    assert found.records == seen
    assert len(found.blocks) == 3
    manifest = found.manifest
    assert (manifest["status"], manifest["command"]) == ("complete", "harness run 'a b'")
    assert manifest["arms"] == ["async", "async@aa", "batched"]
    assert (manifest["baseline"], manifest["planned_trials"]) == ("async", 24)
    (segment,) = manifest["segments"]
    assert segment["started"] < segment["ended"]
    twins = {trial.scenario: said(trial) for trial in seen if trial.pipeline == "async@aa"}
    same = {trial.scenario: said(trial) for trial in seen if trial.pipeline == "async"}
    assert twins != same  # the twin draws for itself


def test_a_complete_run_has_nothing_to_resume(tmp_path: Path) -> None:
    run(tmp_path, pipelines=["async"])
    before = read_run(tmp_path)
    session, writer = resumed_session(tmp_path, {})
    with writer:
        assert session.already == session.total == 8
        assert run_loop(record(session, writer, lambda trial: None))
    after = read_run(tmp_path)
    assert after.records == before.records
    assert [segment["index"] for segment in after.manifest["segments"]] == [0, 1]


def test_a_second_signal_ends_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while the first one is being obeyed and a provider does not close."""
    codes: list[int] = []
    released = asyncio.Event()

    def leave(code: int) -> None:
        codes.append(code)
        released.set()

    async def close() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await released.wait()

    def stubborn(*args: Any) -> Provider:
        provider = make_provider(*args)
        provider.close = close  # type: ignore[method-assign]
        return provider

    monkeypatch.setattr("harness.execute.make_provider", stubborn)
    monkeypatch.setattr(os, "_exit", leave)
    session = new_session({**FAST, "pipelines": ["async"]})
    with RunWriter.create(tmp_path, session.manifest(["harness"])) as writer:
        whole = run_loop(record(session, writer, lambda trial: os.kill(os.getpid(), signal.SIGINT)))
    assert not whole
    assert INTERRUPTED in codes


# --- what has changed since ---


def begun(tmp_path: Path) -> tuple[Path, Path]:
    """A run that has only its manifest, on a copy of the short scenarios: (run, scenarios)."""
    copy = tmp_path / "short"
    shutil.copytree(SHORT, copy)
    shutil.copytree(Path(SHORT).parent / "stories", tmp_path / "stories")
    session = new_session({**FAST, "scenarios": [str(copy)], "pipelines": ["async"]})
    RunWriter.create(tmp_path / "run", session.manifest(["harness"])).close()
    return tmp_path / "run", copy


def refusal(folder: Path, given: dict[str, Any] | None = None) -> str:
    with pytest.raises(InputError) as refused:
        resumed_session(folder, given or {})
    RunWriter.resume(folder).close()  # it is not locked any more
    return str(refused.value)


def test_a_scenario_may_not_change_in_between(tmp_path: Path) -> None:
    folder, scenarios = begun(tmp_path)
    path = scenarios / "short-en-news.toml"
    path.write_text(
        path.read_text("utf-8").replace("request = ", 'request = "Please. " #'), "utf-8"
    )
    assert refusal(folder).startswith(f"{path}: has changed since the run in {folder} began")


def test_scenarios_may_not_come_or_go(tmp_path: Path) -> None:
    folder, scenarios = begun(tmp_path)
    text = (scenarios / "short-en-news.toml").read_text("utf-8")
    more = scenarios / "more.toml"
    more.write_text(text.replace("short-en-news", "short-en-more"), "utf-8")
    assert "scenarios have been added or removed" in refusal(folder)
    more.unlink()
    (scenarios / "short-en-news.toml").unlink()
    assert "scenarios have been added or removed" in refusal(folder)


def edit_manifest(folder: Path, **changes: Any) -> None:
    with RunWriter.resume(folder) as writer:
        writer.manifest |= changes
        writer.save_manifest()


def test_prompts_may_not_change_in_between(tmp_path: Path) -> None:
    folder, _ = begun(tmp_path)
    edit_manifest(folder, prompt_version="older")
    assert "the prompts have changed" in refusal(folder)


def test_options_may_be_named_again_but_not_changed(tmp_path: Path) -> None:
    folder, _ = begun(tmp_path)
    assert "--batch-size was None, now 2" in refusal(folder, {"batch_size": 2})
    assert "--repeats" in refusal(folder, {"repeats": 0})
    session, writer = resumed_session(folder, {"pipelines": ["async"], "seed": 0})
    writer.close()
    assert session.arm_names == ["async"]


def test_a_run_of_an_older_version_may_lack_an_option(tmp_path: Path) -> None:
    folder, _ = begun(tmp_path)
    config = {**read_manifest(folder)["config"]}
    del config["constrained"]
    edit_manifest(folder, config=config)
    assert "--constrained was False, now True" in refusal(folder, {"constrained": True})
    resumed_session(folder, {})[1].close()


def test_a_run_goes_on_with_the_same_provider(tmp_path: Path) -> None:
    folder, _ = begun(tmp_path)
    about = {"kind": "http", "model": "another", "url": "http://127.0.0.1:1/v1"}
    edit_manifest(folder, provider=about)
    session, writer = resumed_session(folder, {})
    with writer, pytest.raises(InputError, match=r"was made with another provider \(another\)"):
        run_loop(record(session, writer, lambda trial: None))
    assert read_manifest(folder)["segments"] == []


# --- a disk that is full ---


class Full(RunWriter):
    """A writer that has room for three trials."""

    def append(self, record: TrialRecord, answers: Sequence[Answer]) -> None:
        if len(read_run(self.folder).records) == 3:
            raise InputError("no room")
        super().append(record, answers)


@pytest.mark.parametrize("pipeline", ["sync", "sync-threads", "async", "batched"])
def test_a_writer_that_fails_ends_the_run(tmp_path: Path, pipeline: str) -> None:
    session = new_session({**FAST, "pipelines": [pipeline], "concurrency": 3})
    writer = Full.create(tmp_path, session.manifest(["harness"]))
    with writer, pytest.raises(InputError, match=r"^no room$"):
        run_loop(record(session, writer, lambda trial: None))
    found = read_run(tmp_path)
    assert len(found.records) == 3
    assert found.blocks == []
    assert found.manifest["status"] == "interrupted"
    assert found.manifest["segments"][0]["ended"] is not None


def test_a_full_disk_is_one_line_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kernel itself refuses to let a file grow beyond 20 kB."""
    out = tmp_path / "run"
    options = ("--scenarios", SHORT, "--time-scale", "0.005", "--repeats", "1", "--out", str(out))
    limit = 40_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    code, shown, err = finish(start("run", *options, before=small_files))
    assert (code, shown) == (WRONG_INPUT, "")
    assert err.count("\n") == 1
    assert err.startswith(f"harness: {out}/")
    assert "cannot be written: File too large" in err
    assert err.endswith(f"go on with --resume --out {out}\n")
    kept = read_run(out)
    assert 0 < len(kept.records) < 48
    assert kept.manifest["status"] == "interrupted"
    assert main(["run", "--resume", "--out", str(out)]) == OK
    capsys.readouterr()
    found = read_run(out)
    assert found.records[: len(kept.records)] == kept.records
    assert len(found.records) == len({trial.trial for trial in found.records}) == 48
    assert found.manifest["status"] == "complete"
    assert (out / MANIFEST).stat().st_size < limit
