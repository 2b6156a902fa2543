"""What a run asks of which API: a URL and its options → requests, and how their answers read."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import orjson

from harness.errors import InputError
from harness.load.greeting import Server, find_server
from harness.load.target import Deck, Request, Stream, Target

if TYPE_CHECKING:  # scenarios bring their validation, which is slow to import
    from harness.scenario import Scenario

Api = Literal["openai", "service", "get"]
Form = Literal["completion", "completion_stream", "edit", "edit_stream"]

CHAT = "/chat/completions"
NO_CACHE = ("Cache-Control", "no-cache")  # every edit is to be worked on, not looked up
PLAIN_CHAT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Tell a short story."}],
    "max_tokens": 64,
    "temperature": 0.0,
}
PLAIN_EDIT = {
    "chapterId": "load",
    "story": (
        '[{"turn_number":1,"result":"A calm day.","news":"The sea is quiet.","news_tag":"all",'
        '"stocks":[{"name":"Sea cafe","risk_level":"low","description":"A cafe.",'
        '"before_value":100,"current_value":110,"expectation":"It may rise."}]}]'
    ),
    "editRequest": "Make the news more exciting.",
}


@dataclass(frozen=True, slots=True)
class Work:
    """Where a run's requests go, what they are, and what is known of the server.

    ``names``: of the ``requests``, one each. ``form``: how an answer holds its edit (None: it holds
    none). ``about``: the server as the manifest keeps it.
    """

    url: str
    target: Target
    deck: Deck
    names: tuple[str, ...]
    requests: tuple[Request, ...] = field(repr=False)
    form: Form | None
    about: dict[str, Any]


def which_api(url: str, api: Api | None) -> Api:
    """The API that a URL is of, unless ``api`` says. Raises InputError when it cannot be told."""
    path = urlsplit(url).path.rstrip("/")
    if api is not None:
        return api
    if path.endswith(("/v1", CHAT)):
        return "openai"
    if "/edit-scenario" in path:
        return "service"
    raise InputError(
        f"{url}: ends neither in /v1 nor in an edit route of the service; "
        "say --api openai or --api service, or --api get for plain GET requests"
    )


def prepare(
    url: str,
    api: Api,
    *,
    stream: bool,
    model: str | None,
    scenarios: "Sequence[Scenario]",
    seed: int,
) -> Work:
    """Look at the server and encode the requests; scenarios take turns in an order drawn from
    ``seed``. Raises InputError when the server cannot be reached or the options do not fit.
    """
    if model is not None and api != "openai":
        raise InputError(f"--model is for --api openai, not for {api}")
    server = find_server(url)
    if api != "openai":
        server.reach()
    if api == "openai":
        form: Form | None = "completion_stream" if stream else "completion"
        kind: Stream | None = "openai" if stream else None
        requests, about = _openai(server, stream, model, scenarios, seed)
    elif api == "service":
        streams = server.path.rstrip("/").endswith("-stream")
        if stream and not streams:
            raise InputError(f"{url}: --stream: the service streams at /edit-scenario-stream")
        form, kind = ("edit_stream", "service") if streams else ("edit", None)
        requests, about = _service(server, scenarios), server.service()
    else:
        if stream or scenarios:
            raise InputError("--api get: a plain GET has no edit and no stream of tokens")
        form = kind = None
        requests, about = [Request("GET", server.path, server.headers, b"")], {}
    target = Target(server.host, server.port, server.tls, kind, counts_tokens=form == "completion")
    order = list(range(len(requests)))
    random.Random(seed).shuffle(order)  # numpy's generators take long to import
    return Work(
        url=url,
        target=target,
        deck=Deck(target, requests, order),
        names=tuple(scenario.id for scenario in scenarios) or ("request",),
        requests=tuple(requests),
        form=form,
        about={"kind": "http", "simulated": None, "url": url, **about},
    )


def _openai(
    server: Server, stream: bool, model: str | None, scenarios: "Sequence[Scenario]", seed: int
) -> tuple[list[Request], dict[str, Any]]:
    """A chat completion a scenario, as the harness's providers ask for it. A simulator learns the
    answers, and draws each request's fate from the seed and the request's number.
    """
    base = server.path.rstrip("/").removesuffix(CHAT)
    name = model or server.first_model(base)
    sim = server.simulator(base)
    about: dict[str, Any] = {"model": name, "simulated": sim is not None}
    if sim is not None:
        about |= {"profile": sim["profile"], "time_scale": sim.get("time_scale")}
    common: dict[str, Any] = {"model": name}
    if stream:
        common |= {"stream": True, "stream_options": {"include_usage": True}}
    path = f"{base}{CHAT}"
    if not scenarios:
        return [_post(server, path, common | PLAIN_CHAT)], about
    from harness.prompt import DRAW_HEADER, edit_prompt

    if sim is not None:
        from harness.simulator.engine import registration

        server.ask("POST", base.removesuffix("/v1") + "/x-sim/scenarios", registration(scenarios))
    requests = []
    for scenario in scenarios:
        prompt = edit_prompt(scenario)
        body = common | {
            "messages": [{"role": role, "content": text} for role, text in prompt.messages],
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
        }
        draw = (DRAW_HEADER, quote(f"{seed}|{scenario.id}|load|"))
        requests.append(_post(server, path, body, draw if sim is not None else None))
    return requests, about


def _service(server: Server, scenarios: "Sequence[Scenario]") -> list[Request]:
    edits = [
        {
            "chapterId": scenario.id,
            "story": scenario.story.to_json(),
            "editRequest": scenario.request,
        }
        for scenario in scenarios
    ]
    return [_post(server, server.path, edit) for edit in edits or [PLAIN_EDIT]]


def _post(
    server: Server, path: str, body: dict[str, Any], numbered: tuple[str, str] | None = None
) -> Request:
    headers = (("Content-Type", "application/json"), NO_CACHE, *server.headers)
    return Request("POST", path, headers, orjson.dumps(body), numbered)
