"""Other clients under the same load, each as a user would write it; prints one line of JSON.

Runs in any environment that has the client's own library:
``python load_clients.py CLIENT {plain|stream|open} URL SECONDS NUMBER``, where NUMBER is how many
are in flight, or for ``open`` the requests per second.
"""

import asyncio
import json
import sys
import time
from typing import Any

BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Tell a short story."}],
    "max_tokens": 64,
}
STREAM = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
CHAT = "/v1/chat/completions"
SPREAD_S = 0.68  # over which users of streams begin: as long as one takes


class Seen:
    """What a client saw; seconds."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.firsts: list[float] = []
        self.gaps: list[float] = []
        self.failed = 0
        self._used = 0.0

    def begin(self) -> None:
        """The load starts: forget what start-up took."""
        self._used = time.process_time()

    def as_data(self) -> dict[str, object]:
        return {
            "cpu_s": time.process_time() - self._used,
            "requests": len(self.times),
            "failed": self.failed,
            "response_s": _quantiles(self.times),
            "ttft_s": _quantiles(self.firsts),
            "itl_s": _quantiles(self.gaps),
        }


def _quantiles(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return {name: ordered[round(p * last)] for name, p in (("p50", 0.5), ("p99", 0.99))}


async def with_aiohttp(kind: str, url: str, seconds: float, number: int) -> Seen:
    import aiohttp

    seen = Seen()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def plain(scheduled: float) -> None:
            async with session.get(url) as response:
                await response.read()
                seen.failed += response.status != 200
            seen.times.append(time.perf_counter() - scheduled)

        async def stream(scheduled: float) -> None:
            last = 0.0
            async with session.post(url + CHAT, json=STREAM) as response:
                async for line in response.content:
                    if not line.startswith(b"data: {"):
                        continue
                    choices = json.loads(line[6:])["choices"]
                    if choices and choices[0]["delta"].get("content"):
                        now = time.perf_counter()
                        (seen.gaps if last else seen.firsts).append(now - (last or scheduled))
                        last = now
            seen.times.append(time.perf_counter() - scheduled)

        if kind == "open":
            await _open(plain, seen, seconds, number)
        elif kind == "stream":
            await _closed(stream, seen, seconds, number, SPREAD_S)
        else:
            await _closed(plain, seen, seconds, number)
    return seen


async def with_openai(kind: str, url: str, seconds: float, number: int) -> Seen:
    from openai import AsyncOpenAI, DefaultAioHttpClient

    seen = Seen()
    async with AsyncOpenAI(
        base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=DefaultAioHttpClient()
    ) as client:

        async def plain(scheduled: float) -> None:
            await client.chat.completions.create(**BODY)
            seen.times.append(time.perf_counter() - scheduled)

        async def stream(scheduled: float) -> None:
            last = 0.0
            async for chunk in await client.chat.completions.create(**STREAM):
                if chunk.choices and chunk.choices[0].delta.content:
                    now = time.perf_counter()
                    (seen.gaps if last else seen.firsts).append(now - (last or scheduled))
                    last = now
            seen.times.append(time.perf_counter() - scheduled)

        if kind == "open":
            await _open(plain, seen, seconds, number)
        elif kind == "stream":
            await _closed(stream, seen, seconds, number, SPREAD_S)
        else:
            await _closed(plain, seen, seconds, number)
    return seen


async def _closed(  # type: ignore[no-untyped-def]
    ask, seen: Seen, seconds: float, users: int, spread: float = 0.0
) -> None:
    seen.begin()
    until = time.perf_counter() + seconds

    async def user(number: int) -> None:
        await asyncio.sleep(spread * number / users)
        while (now := time.perf_counter()) < until:
            await ask(now)

    await asyncio.gather(*map(user, range(users)))


async def _open(ask, seen: Seen, seconds: float, rate: int) -> None:  # type: ignore[no-untyped-def]
    seen.begin()
    began = time.perf_counter()
    tasks = set()
    for i in range(int(seconds * rate)):
        due = began + i / rate
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        task = asyncio.ensure_future(ask(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)


def with_locust(kind: str, url: str, seconds: float, number: int) -> Seen:
    """FastHttpUser without its command line: the same client, none of its start-up."""
    import gevent.monkey

    gevent.monkey.patch_all()
    import gevent
    from locust import FastHttpUser
    from locust.env import Environment

    seen = Seen()

    class User(FastHttpUser):
        host = url

    environment = Environment(user_classes=[User])
    until = time.perf_counter() + seconds

    def work(place: int) -> None:
        user = User(environment)
        if kind == "stream":
            gevent.sleep(SPREAD_S * place / number)
        while (began := time.perf_counter()) < until:
            if kind == "plain":
                user.client.get("/")
            else:
                last = 0.0
                with user.client.post(CHAT, json=STREAM, stream=True, catch_response=True) as reply:
                    while line := reply.stream.readline(b"\n"):
                        if not line.startswith(b"data: {"):
                            continue
                        choices = json.loads(line[6:])["choices"]
                        if choices and choices[0]["delta"].get("content"):
                            now = time.perf_counter()
                            (seen.gaps if last else seen.firsts).append(now - (last or began))
                            last = now
            seen.times.append(time.perf_counter() - began)

    seen.begin()
    gevent.joinall([gevent.spawn(work, place) for place in range(number)])
    return seen


def main() -> None:
    client, kind, url, seconds, number = sys.argv[1:]
    if client == "locust":
        seen = with_locust(kind, url, float(seconds), int(number))
    else:
        import uvloop

        made = with_aiohttp if client == "aiohttp" else with_openai
        seen = uvloop.run(made(kind, url, float(seconds), int(number)))
    print(json.dumps(seen.as_data()))


if __name__ == "__main__":
    main()
