"""Where requests go, and their bytes, encoded before the run."""

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.errors import InputError

Stream = Literal["openai", "service"]
Header = tuple[str, str]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]*")
_PATH = re.compile(r"/[\x21-\x7e]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A server. ``tls`` None: plain HTTP. ``stream``: how the events of an answer bear tokens
    (None: answers come whole). ``counts_tokens``: whole answers hold a ``usage``.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    stream: Stream | None = None
    counts_tokens: bool = False

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """One request in plain terms; ``headers`` beside Host and Content-Length.

    ``numbered`` is a header to whose value the request's number within the run is appended, so
    that a simulator can draw each request apart.
    """

    method: str
    path: str
    headers: tuple[Header, ...]
    body: bytes
    numbered: Header | None = None


class Deck:
    """The requests of a run: number i sends ``requests[order[i % len(order)]]``.

    Without ``order`` they come in turn. Raises InputError for what HTTP does not allow.
    """

    def __init__(
        self, target: Target, requests: Sequence[Request], order: Sequence[int] | None = None
    ) -> None:
        if not requests:
            raise InputError("there is nothing to send")
        wires = [_encode(target, request) for request in requests]
        self._order = np.array(range(len(requests)) if order is None else order, np.int32)
        self._wires = [wires[which] for which in self._order.tolist()]
        self._length = len(self._wires)

    def wire(self, index: int) -> bytes:
        """The bytes of request number ``index``."""
        before, after = self._wires[index % self._length]
        return b"%b%d%b" % (before, index, after) if after else before

    def which(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """For numbers of requests, which of ``requests`` each of them sends."""
        return self._order[index % self._length]


def _encode(target: Target, request: Request) -> tuple[bytes, bytes]:
    """A request's bytes before and after its number; nothing after: it has none."""
    headers = [("Host", target.authority), *request.headers]
    if request.body or request.method not in ("GET", "DELETE"):
        headers.append(("Content-Length", str(len(request.body))))
    if request.numbered is not None:
        headers.append(request.numbered)
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InputError(f"the header {name!r} has a character that HTTP does not allow")
    if not _TOKEN.fullmatch(request.method) or request.method == "HEAD":
        raise InputError(f"{request.method!r}: no method that a load run can send")
    if not _PATH.fullmatch(request.path):
        raise InputError(f"{request.path!r}: not a path; it begins with / and is percent-encoded")
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers)]
    head = "\r\n".join(lines).encode("latin-1")
    rest = b"\r\n\r\n" + request.body
    return (head + rest, b"") if request.numbered is None else (head, rest)
