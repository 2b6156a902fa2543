"""A server's address, and what it says of itself before the load: its model, our simulator or not.

With the standard library's client, since what is imported here delays the first request.
"""

import http.client
import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from harness.errors import InputError

KEY_VARIABLE = "HARNESS_API_KEY"
LOOK_S = 10.0
_KEPT = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a URL leads. ``path`` has its query; ``tls`` None: plain HTTP; ``key`` is sent as a
    bearer token and never shown.
    """

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    key: str | None = field(repr=False)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("Authorization", f"Bearer {self.key}"),) if self.key else ()

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, object]:
        """Status and JSON (None: none) of one request. Raises InputError when nobody answers."""
        headers = dict(self.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        where = f"{self.host}:{self.port}{path}"
        with self._connection(where) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
        if response.status in (401, 403):
            state = f"the key in {KEY_VARIABLE} was refused" if self.key else "it wants a key"
            raise InputError(f"{where}: {response.status}: {state}; set {KEY_VARIABLE}")
        try:
            return response.status, json.loads(data)
        except (ValueError, RecursionError):
            return response.status, None

    def reach(self) -> None:
        """Connect, and send nothing. Raises InputError when nobody answers, or none to trust."""
        with self._connection(f"{self.host}:{self.port}") as connection:
            connection.connect()

    @contextmanager
    def _connection(self, where: str) -> Iterator[http.client.HTTPConnection]:
        """A connection; what goes wrong with it becomes an InputError about ``where``."""
        connection = (
            http.client.HTTPConnection(self.host, self.port, timeout=LOOK_S)
            if self.tls is None
            else http.client.HTTPSConnection(self.host, self.port, timeout=LOOK_S, context=self.tls)
        )
        try:
            yield connection
        except ssl.SSLCertVerificationError as error:
            raise InputError(f"{where}: not to be trusted: {error.verify_message}") from error
        except (OSError, http.client.HTTPException) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            why = f"cannot be reached: {why}; is the server running?"
            raise InputError(f"{where}: {why}") from error
        finally:
            connection.close()

    def service(self) -> dict[str, Any]:
        """What our service says of the model behind it; empty for any other, which may refuse."""
        try:
            _, home = self.ask("GET", "/")
        except InputError:
            return {}
        model = home.get("provider") if isinstance(home, dict) else None
        if not isinstance(model, dict) or not isinstance(model.get("simulated"), bool):
            return {}
        names = ("model", "simulated", "profile", "time_scale")
        return {name: model[name] for name in names if model.get(name) is not None}

    def first_model(self, base: str) -> str:
        """The model to ask for when none was named: the first that ``base``/models lists."""
        _, models = self.ask("GET", f"{base}/models")
        try:
            return str(models["data"][0]["id"])  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return "default"

    def simulator(self, base: str) -> dict[str, Any] | None:
        """What the server says of itself when it is our simulator; None for any other."""
        status, about = self.ask("GET", base.removesuffix("/v1") + "/x-sim")
        return about if status == 200 and isinstance(about, dict) and "profile" in about else None


def find_server(url: str) -> Server:
    """The server at ``url``, with the key in HARNESS_API_KEY. Raises InputError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except ValueError as error:  # also what IDNA refuses
        raise InputError(f"{url}: not a URL: {error}") from error
    if parts.username or parts.password:
        raise InputError(f"the URL holds a password; put the key into {KEY_VARIABLE}")
    if parts.scheme not in ("http", "https") or not host or port == 0 or parts.fragment:
        raise InputError(
            f"{url}: not a URL to load, such as http://127.0.0.1:8000/v1 or "
            "http://127.0.0.1:8000/edit-scenario"
        )
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    path = quote(parts.path or "/", safe=_KEPT)
    if parts.query:
        path += "?" + quote(parts.query, safe=_KEPT + "?")
    key = os.environ.get(KEY_VARIABLE) or None
    if key and not (key.isascii() and key.isprintable()):
        raise InputError(f"{KEY_VARIABLE} holds a character that no header may; set it again")
    return Server(host, port or (443 if tls else 80), path, tls, key)
