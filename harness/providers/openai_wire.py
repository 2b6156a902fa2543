"""What an OpenAI-compatible server's address, answers and failures mean, for both clients."""

import http.client
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import urllib3

from harness.errors import InputError
from harness.providers.base import ProviderError, Trace
from harness.records import ErrorType, SimTiming, Usage

KEY_VARIABLE = "HARNESS_API_KEY"
MAX_ANSWER = 64 * 1024 * 1024


class Body(bytearray):
    """A whole answer as it comes in, of a bounded size."""

    def add(self, part: bytes) -> None:
        """Append ``part``. Raises ProviderError when that makes it too large."""
        self += part
        if len(self) > MAX_ANSWER:
            raise ProviderError("protocol", f"the answer has more than {MAX_ANSWER:,} bytes")


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """The body. Raises ProviderError when it is too large."""
    body = Body()
    async for part in response.content.iter_any():
        body.add(part)
    return bytes(body)


def checked_base(url: str) -> str:
    """The URL without a closing slash. Raises InputError for one that cannot be right."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise InputError(f"the provider's address is not a URL: {error}") from error
    if parts.username or parts.password:
        raise InputError(f"the provider's URL holds a password; put the key into {KEY_VARIABLE}")
    if parts.query or parts.fragment:
        raise InputError(
            "the provider's URL must end in its path, such as /v1, without ? or #; "
            f"put the key into {KEY_VARIABLE}"
        )
    if not good:
        raise InputError(f"{url}: not a base URL such as http://127.0.0.1:8000/v1")
    return url.rstrip("/")


def first_model(models: object) -> str:
    """The model to ask for when none was named: the first that the server lists."""
    try:
        return str(models["data"][0]["id"])  # type: ignore[index]
    except (KeyError, IndexError, TypeError):
        return "default"


def transport_type(error: Exception) -> ErrorType:
    """What kind of failure below HTTP it is, the same for both clients."""
    if isinstance(
        error,
        urllib3.exceptions.NewConnectionError
        | urllib3.exceptions.SSLError
        | aiohttp.ClientConnectorError,
    ):
        return "connect"
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientPayloadError):
        # aiohttp tells a connection that broke from one that was closed only in its words.
        return "reset" if "ConnectionResetError" in str(error) else "truncated"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        # urllib3 puts what really happened second; without it, a chunked body ended too soon.
        cause = error.args[1] if len(error.args) > 1 else http.client.IncompleteRead(b"")
        if isinstance(cause, http.client.IncompleteRead):
            return "truncated"
        return "reset" if isinstance(cause, OSError) else "protocol"
    return "reset" if isinstance(error, aiohttp.ClientConnectionError | OSError) else "protocol"


def status_type(status: int) -> ErrorType:
    if status == 429:
        return "rate_limited"
    if 400 <= status < 500:
        return "http_4xx"
    return "http_5xx" if status >= 500 else "protocol"


def take_extras(data: dict[str, Any], trace: Trace) -> None:
    """Token usage, and the simulator's own timing; None where absent or of another shape."""
    usage, sim = data.get("usage"), data.get("x_sim")
    if isinstance(usage, dict):
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if isinstance(prompt, int) and isinstance(completion, int):
            details = usage.get("prompt_tokens_details")
            cached = details.get("cached_tokens") if isinstance(details, dict) else None
            trace.usage = Usage(prompt, completion, cached)
    if isinstance(sim, dict):
        first, total = sim.get("ttft_s"), sim.get("total_s")
        if isinstance(first, int | float) and isinstance(total, int | float):
            trace.sim = SimTiming(ttft_s=float(first), total_s=float(total))
