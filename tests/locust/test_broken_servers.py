"""What breaks below HTTP, and in the middle of a stream, has its type in the records."""

import asyncio
import itertools
from collections import defaultdict
from pathlib import Path

from tests.locust.children import locust, recorded
from tests.serving import Connection, serve_raw

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
TOKEN = b'event: token\ndata: {"text": "["}\n\n'
FAILED = b'event: error\ndata: {"detail": "too late", "type": "deadline"}\n\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(TOKEN)
WHOLE: dict[str, bytes | None] = {
    "broken": None,
    "cut": HEAD + b"Content-Length: 99\r\n\r\nnot so many",
    "garbage": b"hello?\r\n\r\n",
    "silent": b"",
}
STREAMS: dict[str, bytes | None] = {
    "broken": None,
    "cut": CHUNKED,
    "no result": CHUNKED + b"0\r\n\r\n",
    "failed": CHUNKED + chunk(FAILED) + b"0\r\n\r\n",
}
ODD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
ITEMS = b'{"results": [7, {}, {"success": false, "error": {"type": "deadline", "detail": ""}}]}'
BATCHES: dict[str, bytes | None] = {
    "items": ODD % (len(ITEMS), ITEMS),
    "no JSON": ODD % (6, b"<html>"),
}
KINDS = {
    "edit-scenario-async": ["protocol", "reset", "timeout", "truncated"],
    "edit-scenario-stream": ["reset", "timeout", "truncated"],
    "edit-scenarios": ["protocol", "timeout"],
}


async def test_every_kind_of_break_is_told_apart(tmp_path: Path) -> None:
    answers = {
        b"/edit-scenario-async": WHOLE,
        b"/edit-scenario-stream": STREAMS,
        b"/edit-scenarios": BATCHES,
    }
    turns = {path: itertools.cycle(each.values()) for path, each in answers.items()}

    async def break_it(connection: Connection) -> None:
        request = await connection.request()
        if request is None:
            return
        answer = next(turns[request[1].split()[1]])
        if answer is None:
            connection.reset()
        elif answer:
            await connection.send(answer)
        else:
            await asyncio.sleep(60)

    out = tmp_path / "run"
    hasty = '{"user_class_name": "Async", "network_timeout": 0.5}'
    options = ("-u", "10", "-r", "10", "-t", "4s", "--config-users", hasty)
    async with serve_raw(break_it) as url:
        done = await asyncio.to_thread(
            locust, url, *options, "--harness-out", str(out), "Async", "Stream", "Batch"
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    found = defaultdict(set)
    for record in recorded(out).records:
        assert record.outcome in ("error", "cancelled")
        if record.error is not None:
            found[record.pipeline].add(record.error.type)
            assert record.error.type in done.stderr
    assert {arm: sorted(kinds) for arm, kinds in found.items()} == KINDS
