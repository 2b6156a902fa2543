"""Any OpenAI-compatible server over HTTP, blocking (urllib3) and asynchronous (aiohttp).

Over 300 lines: the three ways of calling share their headers, bodies and errors.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import urllib3

from harness.clock import Clock
from harness.errors import InputError
from harness.prompt import DRAW_HEADER, Prompt
from harness.providers.base import Completion, ProviderError, Trace
from harness.providers.blocking_pool import blocking_pool, read_blocking
from harness.providers.openai_wire import (
    KEY_VARIABLE,
    checked_base,
    first_model,
    read_body,
    status_type,
    take_extras,
    transport_type,
)
from harness.providers.sse import SSEError, SSEReader
from harness.scenario import Scenario
from harness.simulator.engine import registration

CONNECT_S = 10.0


class HttpProvider:
    """``{base}/chat/completions``, connections kept alive unless ``keepalive`` says otherwise.

    ``timeout`` bounds a whole call in seconds; ``model`` None asks for the first that the server
    lists; ``scenarios`` are made known to the server if it is our simulator; a server that hangs up
    after a stream without saying so needs ``reuse_after_stream`` False. The key goes into the
    Authorization header and nowhere else: it is cut out of every error message.
    """

    def __init__(
        self,
        base: str,
        clock: Clock,
        *,
        timeout: float,
        key: str | None = None,
        model: str | None = None,
        scenarios: Sequence[Scenario] = (),
        reuse_after_stream: bool = True,
        keepalive: bool = True,
    ) -> None:
        self.base = checked_base(base)
        if key and not (key.isascii() and key.isprintable()):
            raise InputError(f"{KEY_VARIABLE} holds a character that no header may; set it again")
        self._clock = clock
        self._timeout = timeout
        self._key = key
        self._model = model
        self._scenarios = scenarios
        self._keepalive = keepalive
        self._reuse_after_stream = reuse_after_stream
        self._about: dict[str, Any] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._pool: urllib3.PoolManager | None = None

    async def open(self) -> None:
        """Connect and look around. Raises InputError when the server or the key is no good."""
        if self._session is not None:
            return
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=not self._keepalive),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_S),
        )
        self._pool = blocking_pool()
        models = await self._look("/models")
        if models is None:
            await self._try()
        if self._model is None:
            self._model = first_model(models)
        self._about = await self._simulator()
        if self._about is not None:
            await self._teach()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def describe(self) -> dict[str, Any]:
        about: dict[str, Any] = {
            "kind": "http",
            "simulated": self._about is not None,
            "url": self.base,
            "model": self._model,
            "timeout_s": self._timeout,
        }
        if self._about is not None:
            about["profile"] = self._about.get("profile")
            about["time_scale"] = self._about.get("time_scale")
        return about

    async def _teach(self) -> None:
        """Tell the simulator the right answers to the scenarios."""
        assert self._session is not None
        url = self.base.removesuffix("/v1") + "/x-sim/scenarios"
        try:
            async with self._session.post(
                url, data=registration(self._scenarios), headers=self._headers("")
            ) as response:
                answer = await read_body(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            why = self._clean(str(error) or type(error).__name__)
            raise InputError(f"{url}: takes no scenarios: {why}") from error
        if response.status != 200:
            raise InputError(f"{url}: {self._reason(response.status, answer)}")

    async def _look(self, path: str) -> object:
        assert self._session is not None
        url = self.base + path
        try:
            async with self._session.get(url, headers=self._headers("")) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            why = self._clean(str(error) or type(error).__name__)
            raise InputError(f"{url}: cannot be reached: {why}; is the server running?") from error
        self._admitted(url, response.status)
        try:
            return json.loads(body) if response.status == 200 else None
        except (ValueError, RecursionError):
            return None

    async def _try(self) -> None:
        """One tiny call, since a server that lists no models may be none at all."""
        assert self._session is not None
        url = f"{self.base}/chat/completions"
        body = self._body(Prompt("edit", (("user", "1"),), max_tokens=1), stream=False)
        try:
            async with self._session.post(
                url, data=body, headers=self._headers(""), allow_redirects=False
            ) as response:
                self._admitted(url, response.status)
        except (aiohttp.ClientError, TimeoutError):
            return  # such failures are the run's to count
        if response.status in (404, 405):
            raise InputError(f"{url}: {response.status}: is not there; does the URL end in /v1?")

    def _admitted(self, url: str, status: int) -> None:
        if status in (401, 403):
            state = f"the key in {KEY_VARIABLE} was refused" if self._key else "it wants a key"
            raise InputError(f"{url}: {status}: {state}; set {KEY_VARIABLE}")

    async def _simulator(self) -> dict[str, Any] | None:
        """What ``/x-sim`` says, when the server is our simulator."""
        assert self._session is not None
        try:
            async with self._session.get(self.base.removesuffix("/v1") + "/x-sim") as response:
                about = json.loads(await response.read()) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError):
            return None
        return about if isinstance(about, dict) and "time_scale" in about else None

    # --- the three ways of calling ---

    def complete_blocking(self, prompt: Prompt, trace: Trace) -> Completion:
        assert self._pool is not None, "open() comes first"
        body, headers = self._body(prompt, stream=False), self._headers(prompt.draw)
        trace.sent = self._clock.now()
        left = prompt.left(trace.sent)
        timeout = self._timeout if left is None else min(self._timeout, left)
        if timeout <= 0:
            raise ProviderError("timeout", "the deadline passed before the call")
        try:
            response = self._pool.request(
                "POST",
                f"{self.base}/chat/completions",
                body=body,
                headers=headers,
                preload_content=False,
                timeout=urllib3.Timeout(total=timeout, connect=min(CONNECT_S, timeout)),
            )
            trace.status = response.status
            try:
                answer = read_blocking(response)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            trace.done = self._clock.now()
            raise self._transport_error(error) from error
        trace.done = self._clock.now()
        return self._completion(answer, trace)

    async def complete(self, prompt: Prompt, trace: Trace) -> Completion:
        assert self._session is not None, "open() comes first"
        body, headers = self._body(prompt, stream=False), self._headers(prompt.draw)
        trace.sent = self._clock.now()
        try:
            async with self._session.post(
                f"{self.base}/chat/completions", data=body, headers=headers, allow_redirects=False
            ) as response:
                trace.status = response.status
                answer = await read_body(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            trace.done = self._clock.now()
            raise self._transport_error(error) from error
        trace.done = self._clock.now()
        return self._completion(answer, trace)

    async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
        assert self._session is not None, "open() comes first"
        body, headers = self._body(prompt, stream=True), self._headers(prompt.draw)
        if not self._reuse_after_stream:
            headers["Connection"] = "close"
        trace.sent = self._clock.now()
        trace.chunks = 0
        ended = False
        try:
            async with self._session.post(
                f"{self.base}/chat/completions", data=body, headers=headers, allow_redirects=False
            ) as response:
                trace.status = response.status
                if response.status != 200:
                    answer = await read_body(response)
                    trace.done = self._clock.now()
                    self._completion(answer, trace)
                reader = SSEReader()
                async for piece in response.content.iter_any():
                    arrived = self._clock.now()
                    for data in reader.feed(piece):
                        if data == "[DONE]":
                            ended = True
                            continue
                        text = self._chunk(data, trace)
                        if text:
                            if trace.first_token is None:
                                trace.first_token = arrived
                            trace.last_token = arrived
                            trace.chunks += 1
                            yield text
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            trace.done = self._clock.now()
            if not ended:  # what breaks after the end does not matter
                raise self._transport_error(error) from error
        except SSEError as error:
            trace.done = self._clock.now()
            raise ProviderError("protocol", str(error)) from error
        trace.done = self._clock.now()
        if not ended and trace.finish_reason is None:
            raise ProviderError("truncated", "the stream ended before the answer was complete")

    # --- reading and writing messages ---

    def _headers(self, draw: str) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if not self._keepalive:
            headers["Connection"] = "close"
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        if draw and self._about is not None:
            headers[DRAW_HEADER] = quote(draw)  # a pipeline's name may be in any script
        return headers

    def _body(self, prompt: Prompt, *, stream: bool) -> bytes:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": role, "content": text} for role, text in prompt.messages],
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
        }
        if prompt.schema is not None:
            schema = {"name": prompt.call, "schema": prompt.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")

    def _completion(self, answer: bytes, trace: Trace) -> Completion:
        """The text of a whole answer. Raises ProviderError for any other than a good one."""
        status = trace.status or 0
        if status != 200:
            raise ProviderError(status_type(status), self._reason(status, answer))
        try:
            data = json.loads(answer)
            choice = data["choices"][0]
            text = choice["message"]["content"] or ""
            if not isinstance(text, str):
                raise TypeError("content is not text")
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            why = self._clean(f"not a chat completion: {error!r}")[:200]
            raise ProviderError("protocol", why) from error
        if isinstance(reason := choice.get("finish_reason"), str):
            trace.finish_reason = reason
        take_extras(data, trace)
        return Completion(text)

    def _chunk(self, data: str, trace: Trace) -> str:
        """The text of one streamed event; keeps finish reason, usage and simulator timing."""
        try:
            event = json.loads(data)
            if "error" in event:
                raise ProviderError("protocol", self._clean(str(event["error"]))[:200])
            choices = event.get("choices") or []
            text = choices[0].get("delta", {}).get("content") or "" if choices else ""
            if not isinstance(text, str):
                raise TypeError("content is not text")
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
            why = self._clean(f"not a streamed completion: {error!r}")[:200]
            raise ProviderError("protocol", why) from error
        if choices and isinstance(reason := choices[0].get("finish_reason"), str):
            trace.finish_reason = reason
        take_extras(event, trace)
        return text

    def _transport_error(self, error: Exception) -> ProviderError:
        """A failure below HTTP, typed."""
        text = " ".join(self._clean(str(error) or type(error).__name__).split())
        return ProviderError(transport_type(error), text[:200])

    def _reason(self, status: int, body: bytes) -> str:
        """An HTTP error in one line, from the server's own message where it has one."""
        try:
            error = json.loads(body)["error"]
            text = error["message"] if isinstance(error, dict) else error
        except (ValueError, KeyError, TypeError, RecursionError):
            text = body[:1000].decode("utf-8", "replace")
        # Cleaned before it is cut, or the beginning of a key could stay at the edge.
        return f"HTTP {status}: {' '.join(self._clean(str(text)).split())[:200]}"

    def _clean(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text
