"""The real llama.cpp server with real weights, and how it fails."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import InputError
from harness.providers import weights
from harness.providers.local_server import LocalServer
from harness.providers.schema import response_format, story_schema
from harness.story import Stock, Story, Turn, load_json_strict, parse_story

HAS_ENGINE = importlib.util.find_spec("xllamacpp") is not None
needs_engine = pytest.mark.skipif(
    not HAS_ENGINE, reason="xllamacpp is not installed: pip install -e '.[local]'"
)


@pytest.fixture(scope="session")
def model() -> Path:
    """The pinned weights; the test is skipped, with the reason, where they cannot be used."""
    if not HAS_ENGINE:
        pytest.skip("xllamacpp is not installed: pip install -e '.[local]'")
    try:
        return weights.default_model()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[LocalServer]:
    with LocalServer(model, slots=2, context=1024) as server:
        yield server


def story(turns: int, names: str = "AB") -> Story:
    def stock(name: str) -> Stock:
        return Stock(name, "저위험", "Sells bread.", 100, 110, "Up a bit.")

    return Story(
        tuple(
            Turn(n, "The shop opened.", "A new oven came.", "all", tuple(map(stock, names)))
            for n in range(1, turns + 1)
        )
    )


def post(server: LocalServer, body: dict[str, Any]) -> bytes:
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        data: bytes = response.read()
    return data


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, **more}


def wait_until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll for what another process does; there is no clock to inject there."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether the process has ended (one that nobody has waited for yet counts as ended)."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


# The schema, without an engine.


def test_the_schema_fixes_the_shape() -> None:
    schema = story_schema(story(3))
    assert schema["minItems"] == schema["maxItems"] == 3
    numbers = [turn["properties"]["turn_number"] for turn in schema["prefixItems"]]
    assert numbers == [{"const": 1}, {"const": 2}, {"const": 3}]
    stocks = schema["prefixItems"][0]["properties"]["stocks"]
    assert stocks["minItems"] == stocks["maxItems"] == 2
    assert stocks["items"]["properties"]["current_value"] == {"type": "integer"}


def test_the_schema_lists_the_fields_in_the_order_of_the_wire_format() -> None:
    data = story(1).to_data()[0]
    turn = story_schema(story(1))["prefixItems"][0]
    stock = turn["properties"]["stocks"]["items"]
    for part, wire in ((turn, data), (stock, data["stocks"][0])):
        assert list(part["properties"]) == part["required"] == list(wire)
        assert part["additionalProperties"] is False


# What is refused before or while the engine starts.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slots": 0}, "slots is 0; it must be 1 or more"),
        ({"context": 10}, "context is 10 tokens; it must be 256 or more"),
        ({"threads": 0}, "threads is 0; it must be 1 or more"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LocalServer(**settings)  # type: ignore[arg-type]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nope\.gguf: no such file; give a GGUF model"):
        LocalServer(tmp_path / "nope.gguf").start()


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>", encoding="utf-8")
    with pytest.raises(InputError, match=r"page\.gguf: not a GGUF model"):
        LocalServer(tmp_path / "page.gguf").start()


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory; give a GGUF model"):
        LocalServer(tmp_path).start()


def test_no_model_at_all_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_MODEL_DIR", str(tmp_path))
    with pytest.raises(InputError, match="run `make local-model`"):
        LocalServer().start()


def test_a_missing_engine_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "some.gguf"
    file.write_bytes(b"GGUF")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -e '.\[local\]'"):
        LocalServer(file).start()


@needs_engine
def test_a_damaged_model_is_explained_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "damaged.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    server = LocalServer(file)
    with pytest.raises(InputError, match=r"damaged\.gguf: the engine could not start: ") as caught:
        server.start()
    assert "\n" not in str(caught.value)
    assert server.pid is None


def test_the_url_exists_only_after_the_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = LocalServer(tmp_path).base_url


# The real thing.


@pytest.mark.local_model
def test_it_is_ready_when_started(server: LocalServer) -> None:
    assert server.running
    assert server.failure() is None
    assert server.base_url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(server.base_url.replace("/v1", "/health"), timeout=10) as response:
        assert json.load(response) == {"status": "ok"}
    with urllib.request.urlopen(server.base_url.replace("/v1", "/slots"), timeout=10) as response:
        assert [slot["n_ctx"] for slot in json.load(response)] == [1024, 1024]


@pytest.mark.local_model
def test_it_listens_on_the_loopback_only(server: LocalServer) -> None:
    assert server.pid is not None
    connections = psutil.Process(server.pid).net_connections("tcp")
    listening = [c for c in connections if c.status == psutil.CONN_LISTEN]
    assert [c.laddr.ip for c in listening] == ["127.0.0.1"]


@pytest.mark.local_model
def test_it_describes_itself_for_the_manifest(server: LocalServer) -> None:
    told = server.describe()
    assert told["model"] == weights.FILE_NAME
    assert told["sha256"] == weights.SHA256
    assert (told["slots"], told["context_per_slot"]) == (2, 1024)
    assert told["engine_version"]


@pytest.mark.local_model
def test_it_answers(server: LocalServer) -> None:
    answer = json.loads(post(server, ask("Say hello.", max_tokens=8)))
    assert answer["choices"][0]["message"]["content"]
    assert 1 <= answer["usage"]["completion_tokens"] <= 8


@pytest.mark.local_model
def test_it_streams(server: LocalServer) -> None:
    more = {"max_tokens": 8, "stream": True, "stream_options": {"include_usage": True}}
    raw = post(server, ask("Count from one to ten.", **more)).decode()
    events = [line.removeprefix("data: ") for line in raw.splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    texts = [c["choices"][0]["delta"].get("content") for c in chunks if c["choices"]]
    assert len([text for text in texts if text]) > 1
    assert any(chunk.get("usage") for chunk in chunks)


@pytest.mark.local_model
def test_a_constrained_answer_keeps_to_the_schema(server: LocalServer) -> None:
    """Asked for something else altogether, it still writes a story of the right shape."""
    wanted = story(1, "A")
    text = "Write about a shop with very short texts, two words each."
    more = {"max_tokens": 200, "response_format": response_format(wanted)}
    answer = json.loads(post(server, ask(text, **more)))
    assert answer["choices"][0]["finish_reason"] == "stop"
    data = load_json_strict(answer["choices"][0]["message"]["content"])
    assert isinstance(data, list)
    assert [turn["turn_number"] for turn in data] == [1]
    assert [list(stock) for stock in data[0]["stocks"]] == [
        list(stock) for stock in wanted.to_data()[0]["stocks"]
    ]
    # What a schema cannot say (distinct names, a known tag) is put right before parsing.
    data[0]["news_tag"] = "all"
    for number, stock in enumerate(data[0]["stocks"]):
        stock["name"] = f"shop {number}"
    parse_story(data)


@pytest.mark.local_model
def test_too_long_a_prompt_is_refused(server: LocalServer) -> None:
    with pytest.raises(urllib.request.HTTPError, match="400") as caught:
        post(server, ask("word " * 1500, max_tokens=8))
    caught.value.close()


@pytest.mark.local_model
def test_stop_leaves_no_process_even_with_a_stream_in_flight(model: Path) -> None:
    server = LocalServer(model, slots=1, context=512).start()
    pid = server.pid
    assert pid is not None
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions",
        json.dumps(ask("Count to a thousand.", max_tokens=400, stream=True)).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.readline().startswith(b"data: ")
        server.stop()
    assert gone(pid)
    assert not server.running
    server.stop()  # again does nothing
    with pytest.raises(RuntimeError, match="starts once"):
        server.start()


@pytest.mark.local_model
def test_a_start_that_takes_too_long_is_given_up(model: Path) -> None:
    server = LocalServer(model)
    with pytest.raises(InputError, match=r"was not ready within 0\.01 s"):
        server.start(timeout=0.01)
    assert server.pid is None


@pytest.mark.local_model
def test_a_crash_is_explained(model: Path) -> None:
    server = LocalServer(model, slots=1, context=512)
    with server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not server.running)
        assert "killed" in str(server.failure())


PARENT = """
import sys, time
from pathlib import Path
from harness.providers.local_server import LocalServer
server = LocalServer(Path(sys.argv[1]), slots=1, context=512).start()
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.local_model
def test_nothing_is_left_when_the_parent_is_killed(model: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(model)], stdout=subprocess.PIPE, encoding="utf-8"
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert os.getpgid(pid) != os.getpgid(parent.pid)  # so that Ctrl-C does not reach it
        assert not gone(pid)
        parent.kill()
    wait_until(lambda: gone(pid))
