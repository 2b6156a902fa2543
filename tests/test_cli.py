"""The command line: wrong input is one clear line, and every command speaks JSON."""

import json
import shlex
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import commands
from harness.cli import main, make_parser
from harness.exit_codes import INVALID, OK, REFUTED, WRONG_INPUT
from harness.store import MANIFEST
from tests.runs import KEY, SHORT, finish, manifest, simulator, start, write
from tests.stats.build import trial

FAST = ("--scenarios", SHORT, "--time-scale", "0.001", "--repeats", "1", "--warmup", "0")
COMMANDS = sorted(
    path.stem for path in Path(commands.__file__).parent.glob("*.py") if path.stem != "__init__"
)


@dataclass
class Place:
    """What the wrong inputs are made from: an empty folder, a run of another, a busy port."""

    tmp: Path
    out: str
    run: str
    short: Path
    port: int

    def scenario(self, old: str, new: str) -> str:
        """A folder with one shipped scenario in which ``old`` was replaced."""
        return self._changed("short-en-news.toml", old, new)

    def story(self, text: str) -> str:
        """A folder with one shipped scenario whose story is ``text``."""
        folder = self._changed("short-en-news.toml", "", "")
        (self.tmp / "stories" / "short-pet-street.json").write_text(text, "utf-8")
        for path in (self.tmp / "stories").iterdir():
            path.write_text(text, "utf-8")
        return folder

    def own(self, module: str, code: str) -> str:
        """The name of a module of the user's own, which lies in the working directory."""
        (self.tmp / f"{module}.py").write_text(code, "utf-8")
        return module

    def _changed(self, name: str, old: str, new: str) -> str:
        folder = self.tmp / "changed"
        folder.mkdir()
        shutil.copytree(self.short.parent / "stories", self.tmp / "stories")
        text = (self.short / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")
        return str(folder)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv(KEY, raising=False)
    with ExitStack() as stack:
        busy = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        run = write(tmp_path / "another-run", [trial()])
        yield Place(tmp_path, str(tmp_path / "out"), str(run), Path(SHORT), busy.getsockname()[1])


Args = Callable[[Place], list[str]]


def run(*args: str) -> Args:
    """``harness run`` with these options after fast ones, into a new folder."""
    return lambda place: ["run", *FAST, "--out", place.out, *args]


def just(*args: str) -> Args:
    return lambda place: list(args)


def scenarios(path: Callable[[Place], str]) -> Args:
    return lambda place: ["run", "--scenarios", path(place), "--out", place.out]


def own(code: str, spec: str) -> Args:
    def args(place: Place) -> list[str]:
        module = place.own("mine_" + str(abs(hash((code, spec)))), code)
        return run("--pipelines", f"async,{module}:{spec}")(place)

    return args


def changed(**values: Any) -> Args:
    """``harness report`` of a run with another manifest."""

    def args(place: Place) -> list[str]:
        data = {**manifest(), **values}
        (Path(place.run) / MANIFEST).write_text(json.dumps(data), "utf-8")
        return ["report", place.run]

    return args


BAD: dict[str, tuple[Args, str]] = {
    # scenarios
    "no-such-file": (scenarios(lambda p: "nowhere.toml"), "nowhere.toml: no such file or folder"),
    "empty-folder": (scenarios(lambda p: str(p.tmp / "another-run")), "holds no scenarios"),
    "bad-toml": (scenarios(lambda p: p.scenario("id =", "id = =")), "short-en-news.toml: "),
    "bad-story-json": (scenarios(lambda p: p.story("[{")), "story: "),
    "bad-story": (scenarios(lambda p: p.story("[]")), "story: has no turns"),
    "unknown-key": (scenarios(lambda p: p.scenario("id =", 'colour = "red"\nid =')), "colour: "),
    "duplicate-id": (
        lambda p: ["run", "--scenarios", SHORT, p.scenario("", ""), "--out", p.out],
        "'short-en-news' is already the id of",
    ),
    "list-no-such-file": (just("scenarios", "list", "nowhere"), "nowhere: no such file or folder"),
    "check-no-such-file": (just("scenarios", "check", "nowhere"), "no such file or folder"),
    # pipelines
    "unknown-pipeline": (run("--pipelines", "sync,fast"), "'fast': no such pipeline; known are"),
    "duplicate-pipeline": (run("--pipelines", "sync,sync"), "two are named 'sync'"),
    "unknown-mark": (run("--pipelines", "sync,sync@bb"), "'sync@bb': only '@aa'"),
    "aa-of-nothing": (run("--pipelines", "sync,async@aa"), "'async@aa': only '@aa'"),
    "empty-name": (run("--pipelines", "sync,,async"), "has an empty name between its commas"),
    "no-pipelines": (run("--pipelines", ""), "has an empty name"),
    "not-importable": (run("--pipelines", "no_such_module:it"), "cannot import no_such_module"),
    "broken-import": (own("1 / 0", "it"), "ZeroDivisionError"),
    "syntax-error": (own("def", "it"), "SyntaxError"),
    "no-such-object": (own("", "it"), "has no it"),
    "no-edit": (own("class It:\n    name = 'it'", "It"), "has no method edit"),
    "needs-arguments": (own("class It:\n    def __init__(self, x): ...", "It"), "arguments"),
    "edit-is-no-method": (own("class It:\n    edit = 1", "It"), "has no method edit"),
    # providers
    "unknown-provider": (
        run("--provider", "magic", "--time-scale", "1"),
        "'magic': no such provider; write sim",
    ),
    "unknown-profile": (run("--provider", "sim:magic"), "magic: no such simulator profile"),
    "not-a-url": (run("--provider", "http://", "--time-scale", "1"), "not a base URL"),
    "password-in-url": (
        run("--provider", "http://me:secret@127.0.0.1/v1", "--time-scale", "1"),
        "put the key into HARNESS_API_KEY",
    ),
    "unreachable-url": (
        run("--provider", "http://127.0.0.1:9/v1", "--time-scale", "1"),
        "cannot be reached",
    ),
    "scaled-real-time": (run("--provider", "http://127.0.0.1:9/v1"), "--time-scale is for the sim"),
    "no-such-model": (
        run("--provider", "local:missing.gguf", "--time-scale", "1"),
        "missing.gguf: no such file; give a GGUF model",
    ),
    # numbers
    **{
        f"{option}={value}": (run(f"--{option}={value}"), f"--{option}")
        for option, values in {
            "concurrency": ("0", "-1", "many", "1.5", "1e9"),
            "batch-size": ("0",),
            "group": ("0",),
            "repeats": ("0",),
            "warmup": ("-1",),
            "seed": ("-1",),
            "time-scale": ("0", "-1", "nan", "inf", "1e999"),
            "rate-limit": ("0", "nan", "inf"),
            "target": ("0", "nan"),
            "timeout": ("0", "inf"),
            "workload": ("", "fast", "rate=0", "rate=inf", "closed,think=x", "burst,now"),
            "lang": ("fr",),
        }.items()
        for value in values
    },
    # the run's folder
    "another-run": (
        lambda p: ["run", *FAST, "--out", p.run],
        "holds another run; give another --out, or --resume",
    ),
    "file-for-folder": (
        lambda p: ["run", *FAST, "--out", str(p.short / "short-en-news.toml")],
        "is not a folder",
    ),
    "not-writable": (just("run", *FAST, "--out", "/proc/nowhere"), "cannot be written"),
    "resume-without-out": (just("run", "--resume"), "--resume needs --out"),
    "resume-of-nothing": (
        lambda p: ["run", "--resume", "--out", p.out],
        "holds no run (run.json is missing)",
    ),
    "resume-of-an-old-run": (
        lambda p: ["run", "--resume", "--out", p.run],
        "no scenarios were given",  # its configuration has none
    ),
    # reading runs
    "report-of-nothing": (just("report", "."), "holds no run (run.json is missing)"),
    "show-of-nothing": (just("show", "nowhere"), "holds no run (run.json is missing)"),
    "another-schema": (changed(schema=2), "schema: is 2, this version reads 1"),
    "no-such-trial": (
        lambda p: ["show", p.run, "sync/s1/1/1/1"],
        "no trial 'sync/s1/1/1/1'; the closest is sync/s1/1/1/0",
    ),
    "no-such-outcome": (lambda p: ["show", p.run, "--outcome", "good"], "no such outcome"),
    "outcome-of-one": (
        lambda p: ["show", p.run, "sync/s1/1/1/0", "--outcome", "ok"],
        "leave it out to show one trial",
    ),
    # load: said although nobody listens at the URL
    **{
        f"load {option} {value}": (
            just("load", "http://127.0.0.1:9/v1", "--users", "1", option, value),
            expected,
        )
        for option, value, expected in (
            ("--slo", "p95", "--slo 'p95': is no target"),
            ("--rate", "fast", "'fast' is no rate"),
            ("--scenarios", "nowhere", "nowhere"),
        )
    },
    "load-search-from-a-ramp": (
        just(
            *("load", "http://127.0.0.1:9/v1", "--find-capacity", "--slo", "p50<1s"),
            *("--rate", "1..2"),
        ),
        "begins at one rate",
    ),
    # simulate
    "busy-port": (lambda p: ["simulate", "--port", str(p.port)], "cannot listen"),
    "no-such-port": (just("simulate", "--port", "65536"), "--port: is 65536"),
    "no-such-profile": (just("simulate", "--profile", "magic"), "no such simulator profile"),
    "simulate-time-scale": (just("simulate", "--time-scale", "nan"), "--time-scale: is nan"),
    "key-required-but-none": (just("simulate", "--require-key"), "set the key in HARNESS_API_KEY"),
    # usage
    "no-command": (just(), "required: COMMAND (see harness --help)"),
    "unknown-command": (just("fly"), "invalid choice: 'fly'"),
    "unknown-option": (just("run", "--fly"), "unrecognized arguments: --fly"),
    "no-run": (just("show"), "required: RUN (see harness show --help)"),
    "unknown-action": (just("scenarios", "mend"), "invalid choice: 'mend'"),
}


def check_line(code: int, out: str, err: str, expected: str) -> None:
    assert (code, out) == (WRONG_INPUT, ""), err
    assert err.startswith("harness: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert expected in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", BAD)
def test_wrong_input_is_one_line(
    place: Place, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args, expected = BAD[name]
    code = main(args(place))
    captured = capsys.readouterr()
    check_line(code, captured.out, captured.err, expected)


@pytest.mark.parametrize(
    "name", ["unreachable-url", "bad-toml", "unknown-option", "no-such-model", "busy-port"]
)
def test_so_it_is_in_a_process_of_its_own(place: Place, name: str) -> None:
    args, expected = BAD[name]
    check_line(*finish(start(*args(place), cwd=place.tmp)), expected)


def test_a_resumed_run_keeps_its_options(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--out", place.out, "--pipelines", "async"]
    assert main(["run", *FAST, *common]) == OK
    capsys.readouterr()
    for option, value in (("--seed", "7"), ("--pipelines", "sync"), ("--concurrency", "2")):
        code = main(["run", "--resume", *common, option, value])
        captured = capsys.readouterr()
        check_line(code, captured.out, captured.err, f"{option} was ")
        assert "leave it out to resume" in captured.err
    assert main(["run", "--resume", *FAST, *common]) == OK  # the same ones may be named again


def test_a_run_whose_provider_failed_has_not_begun(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is free for the command as it was meant."""
    assert main([*run("--provider", "sim:magic")(place)]) == WRONG_INPUT
    assert main([*run("--pipelines", "async")(place)]) == OK
    capsys.readouterr()


def test_a_wrong_key_is_refused(place: Place) -> None:
    with simulator("--require-key", "--time-scale", "0.001", key="the right key") as url:
        args = ("run", "--scenarios", SHORT, "--provider", url, "--out", place.out)
        for key, expected in (
            ("a wrong key", "401: the key in HARNESS_API_KEY was refused"),
            (None, "401: it wants a key; set HARNESS_API_KEY"),
        ):
            code, out, err = finish(start(*args, key=key))
            check_line(code, out, err, expected)
            assert "wrong key" not in err


def test_a_fixture_that_is_wrong_is_a_result(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place.scenario("id =", 'colour = "red"\nid =')
    assert main(["scenarios", "check", folder]) == REFUTED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert main(["scenarios", "check", folder, "--json"]) == REFUTED
    captured = capsys.readouterr()
    assert json.loads(captured.out)["ok"] is False
    assert captured.err == ""


# --- help ---


def example(text: str) -> list[str]:
    """The command line that a help text gives as its example."""
    line = text.partition("example:\n")[2].strip()
    program, *args = shlex.split(line)
    assert program == "harness"
    return args


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == OK
    out = capsys.readouterr().out
    assert make_parser().parse_args(example(out)).handler == command
    assert "--json" in out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == OK
    out = capsys.readouterr().out
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("    ")}
    assert set(COMMANDS) <= listed


def test_it_runs_as_a_module() -> None:
    code, out, err = finish(start("--version"))
    assert (code, err) == (OK, "")
    assert out.startswith("harness ")


# --- JSON ---


def one_object(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    """The one object that a command prints."""
    assert main(list(args)) == OK
    captured = capsys.readouterr()
    assert captured.err == ""
    data = json.loads(captured.out)
    assert isinstance(data, dict)
    return data


def test_run_report_and_show_as_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("--out", place.out)
    made = one_object(capsys, "run", *FAST, "--pipelines", "sync,async", *out, "--json")
    assert list(made["pipelines"]) == ["sync", "async"]
    on_disk = json.loads((Path(place.out) / "summary.json").read_text("utf-8"))
    assert made == on_disk
    assert one_object(capsys, "report", place.out, "--json") == on_disk
    shown = one_object(capsys, "show", place.out, "--json")["trials"]
    assert len(shown) == made["run"]["recorded_trials"] == 16
    single = one_object(capsys, "show", place.out, shown[0]["trial"], "--json")
    assert single["trial"] == shown[0]["trial"]
    assert single["response_time_s"] == shown[0]["response_time_s"]
    assert len(single["answers"]) <= len(single["attempts"])
    assert (Path(place.out) / "index.html").stat().st_size > 0


@pytest.mark.parametrize("action", ["list", "check"])
def test_scenarios_as_json(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = one_object(capsys, "scenarios", action, SHORT, "--json")
    assert made["ok"] is True
    assert len(made["scenarios"]) == 8


def test_simulate_as_json() -> None:
    child = start("simulate", "--json")
    try:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["url"].startswith("http://127.0.0.1:")
    finally:
        child.terminate()
        code, rest, err = finish(child)
    assert (code, rest, err) == (OK, "", "")


def test_output_for_people(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenarios", "list", SHORT]) == OK
    assert "short-ko-news" in capsys.readouterr().out
    assert main(["scenarios", "check", SHORT]) == OK
    assert capsys.readouterr().out.startswith("8 scenarios with ")
    assert main(["run", *FAST, "--pipelines", "async", "--out", place.out]) == OK
    assert "async" in capsys.readouterr().out
    assert main(["report", place.out, "--lang", "ko"]) == OK
    assert capsys.readouterr().out == f"{place.out}/index.html\n"


def test_a_terminal_without_hangul_shows_codes() -> None:
    for encoding, shown in (("utf-8", "사과"), ("ascii", r"\uc0ac\uacfc")):
        listing = ("scenarios", "list", f"{SHORT}/short-ko-news.toml")
        code, out, err = finish(start(*listing, encoding=encoding))
        assert (code, err) == (OK, "")
        assert shown in out


# --- strictness ---


def test_strict_tells_an_invalid_run_by_its_exit_code(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = place.tmp / "refusing.toml"
    text = (Path(SHORT).parent / "profiles" / "default.toml").read_text("utf-8")
    profile.write_text(text.replace("http_5xx = 0.01", "http_5xx = 1.0"), "utf-8")
    args = ["run", *FAST, "--pipelines", "async", "--provider", f"sim:{profile}"]
    assert main([*args, "--out", place.out]) == OK
    assert main([*args, "--strict", "--out", f"{place.out}-strict"]) == INVALID
    capsys.readouterr()
    summary = json.loads((Path(place.out) / "summary.json").read_text("utf-8"))
    broken = [check["name"] for check in summary["validity"]["checks"] if not check["ok"]]
    assert "unanswered_share" in broken


@pytest.mark.parametrize(
    ("valid", "strict", "expected"),
    [(True, True, OK), (True, False, OK), (False, True, INVALID), (False, False, OK)],
)
def test_only_strictness_makes_an_invalid_run_an_exit_code(
    place: Place, monkeypatch: pytest.MonkeyPatch, valid: bool, strict: bool, expected: int
) -> None:
    """Whatever this machine's load makes of the run itself."""
    summary = {"validity": {"valid": valid}}
    monkeypatch.setattr("harness.commands.run.publish", lambda *args: summary)
    monkeypatch.setattr("harness.commands.run.print_summary", lambda *args, **options: None)
    args = ["run", *FAST, "--pipelines", "async", "--out", place.out]
    assert main([*args, "--strict"] if strict else args) == expected


@pytest.mark.parametrize(
    "url", ["http://u:SECRET@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=SECRET"]
)
def test_a_secret_in_the_address_is_neither_written_nor_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    folder = tmp_path / "run"
    assert main(["run", "--provider", url, "--scenarios", SHORT, "--out", str(folder)]) == 2
    said = capsys.readouterr()
    assert "SECRET" not in said.out + said.err
    assert "HARNESS_API_KEY" in said.err
    assert not folder.exists()


def test_a_run_that_cannot_begin_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    nobody = "http://127.0.0.1:9/v1"
    assert main(["run", "--provider", nobody, "--scenarios", SHORT, "--out", str(folder)]) == 2
    assert "cannot be reached" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--seed", "99999999999999999999"), ("--repeats", "1000000000")]
)
def test_numbers_that_no_run_could_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(["run", option, value, "--out", str(tmp_path / "run")]) == 2
    assert option in capsys.readouterr().err


def test_a_model_is_named_only_to_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--provider", "sim", "--model", "gpt", "--scenarios", SHORT]) == 2
    assert "--model" in capsys.readouterr().err
