"""A real small model on this machine: llama.cpp's server in a child process, called over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from harness.clock import Clock, on_thread
from harness.prompt import Prompt
from harness.providers.base import Completion, ProviderError, Trace
from harness.providers.local_server import LocalServer
from harness.providers.openai_http import HttpProvider


class LocalProvider:
    """``local[:MODEL.gguf]``: starts the server on ``open`` and stops it on ``close``.

    ``slots`` requests run at once; more wait in the server, as they would in any other.
    """

    def __init__(self, model: str | None, clock: Clock, *, timeout: float, slots: int) -> None:
        self._server = LocalServer(Path(model) if model else None, slots=slots)
        self._clock = clock
        self._timeout = timeout
        self._http: HttpProvider | None = None
        self._about: dict[str, Any] = {}

    async def open(self) -> None:
        starting = asyncio.ensure_future(on_thread(self._server.start))
        try:
            await starting
        except asyncio.CancelledError:
            # `stop` takes over a start that is still under way.
            with contextlib.suppress(asyncio.CancelledError):
                await on_thread(self._server.stop)
            raise
        self._about = await on_thread(self._server.describe)
        # llama.cpp closes the connection some moments after a stream, though it says "keep-alive".
        self._http = HttpProvider(
            self._server.base_url, self._clock, timeout=self._timeout, reuse_after_stream=False
        )
        await self._http.open()

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None
        await on_thread(self._server.stop)

    def describe(self) -> dict[str, Any]:
        return {"kind": "local", "simulated": False, "timeout_s": self._timeout, **self._about}

    def complete_blocking(self, prompt: Prompt, trace: Trace) -> Completion:
        try:
            return self._open().complete_blocking(prompt, trace)
        except ProviderError as error:
            raise self._explained(error) from error

    async def complete(self, prompt: Prompt, trace: Trace) -> Completion:
        try:
            return await self._open().complete(prompt, trace)
        except ProviderError as error:
            raise self._explained(error) from error

    async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
        try:
            async with aclosing(self._open().stream(prompt, trace)) as texts:
                async for text in texts:
                    yield text
        except ProviderError as error:
            raise self._explained(error) from error

    def _explained(self, error: ProviderError) -> ProviderError:
        """The error with what the engine said last, if the reason is that it has died."""
        failure = self._server.failure()
        return ProviderError(error.error.type, failure) if failure else error

    def _open(self) -> HttpProvider:
        assert self._http is not None, "open() comes first"
        return self._http
