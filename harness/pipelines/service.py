"""``service:URL``: each edit as one request to a service, ours or any drop-in for it."""

import json
import os
from urllib.parse import quote, urlsplit

import aiohttp

from harness.edits import MAX_WHY, UNUSABLE, read_story
from harness.errors import InputError
from harness.pipelines.base import Dispatch, PipelineResult
from harness.prompt import DRAW_HEADER, Editable, Prompt
from harness.providers import Completion, ProviderError, Recorder, Trace
from harness.providers.openai_wire import read_body, status_type, transport_type
from harness.records import ErrorType, Malformed

TOKEN_VARIABLE = "HARNESS_SERVICE_TOKEN"  # not the provider's key: that is nothing for a service
TIMEOUT_S = 300.0  # of a whole request, as of a call in process by default
DEFAULT_ROUTE = "/edit-scenario-async"
RATE_LIMITED = "provider_rate_limited"  # our own service's problem
STATUS_TYPES: dict[int, ErrorType] = {408: "timeout", 504: "timeout"}


class OverHttp:
    """Each edit as one request, stamped on this side of it; N in flight.

    ``url`` is the service's, which means its asynchronous route, or that of a full route. The
    provider of the run is not asked: the service has its own. Cached answers are refused, since
    they would pass for fast ones. The bearer token is that of TOKEN_VARIABLE, if it is set.
    """

    dispatch: Dispatch = "tasks"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good or parts.query or parts.fragment or "@" in parts.netloc:
            raise InputError(
                f"service:{url}: write service:http://HOST:PORT, or a full route of it"
            )
        route = parts.path.rstrip("/")
        self.name = "service" + route.replace("/", "-")
        self._url = f"{parts.scheme}://{parts.netloc}{route or DEFAULT_ROUTE}"
        token = os.environ.get(TOKEN_VARIABLE)
        if token and not (token.isascii() and token.isprintable()):
            raise InputError(
                f"{TOKEN_VARIABLE}: holds a character that no header may; set it again"
            )
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Connect. Raises InputError when nothing answers, or when the token is refused."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            headers=self._headers,
        )
        try:
            async with self._session.get(self._url, allow_redirects=False) as response:
                status = response.status  # whatever else it says to this method: somebody is there
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            await self.close()
            why = str(error) or type(error).__name__
            raise InputError(
                f"{self._url}: cannot be reached: {why}; is the service running?"
            ) from error
        if status in (401, 403):
            await self.close()
            raise InputError(f"{self._url}: {status}: wants another token; set {TOKEN_VARIABLE}")

    async def close(self) -> None:
        """Let the connections go; safe to call twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def edit(self, scenario: Editable, provider: Recorder) -> PipelineResult:
        """One request. Raises ProviderError when there is no answer to judge."""
        asked = {
            "chapterId": scenario.id,
            "story": scenario.story.to_json(),
            "editRequest": scenario.request,
        }
        body = json.dumps(asked, ensure_ascii=False)
        found: PipelineResult | None = None

        async def answer(prompt: Prompt, trace: Trace) -> Completion:
            nonlocal found
            text, found = await self._post(prompt, trace)
            return Completion(text)

        await provider.call(Prompt("edit", (("user", body),), max_tokens=len(body)), answer)
        assert found is not None
        return found

    async def _post(self, prompt: Prompt, trace: Trace) -> tuple[str, PipelineResult]:
        """The story's text and what it is."""
        assert self._session is not None, "open() comes first"
        headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            DRAW_HEADER: quote(prompt.draw),
        }
        try:
            async with self._session.post(
                self._url,
                data=prompt.messages[0][1].encode(),
                headers=headers,
                allow_redirects=False,
            ) as response:
                trace.status = response.status
                data = await read_body(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = " ".join((str(error) or type(error).__name__).split())[:200]
            raise ProviderError(transport_type(error), why) from error
        return _read(response.status, data)


def _read(status: int, data: bytes) -> tuple[str, PipelineResult]:
    """What the service answered. Raises ProviderError when it is no edit."""
    try:
        said = json.loads(data)
        if status == 200:
            story, summary = said["story"], said["summary"]
            if not isinstance(story, str) or not isinstance(summary, str):
                raise TypeError("story or summary is not text")
            return story, PipelineResult(read_story(story), summary)
        detail = str(said["detail"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if status == 200:
            raise ProviderError("protocol", f"not an edited story: {error!r}"[:200]) from error
        said, detail = {}, data[:200].decode("utf-8", "replace")
    if said.get("type") == UNUSABLE:  # the model answered, but with no story: as in process
        return "", PipelineResult(Malformed("bad_story", detail[:MAX_WHY]))
    type_ = STATUS_TYPES.get(status, status_type(status))
    if said.get("type") == RATE_LIMITED:
        type_ = "rate_limited"
    raise ProviderError(type_, f"HTTP {status}: {' '.join(detail.split())[:200]}")
