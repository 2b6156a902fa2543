"""Requests as bytes; what HTTP does not allow is refused before the run."""

import ssl

import pytest

from harness.errors import InputError
from harness.load.target import Deck, Request, Target

TARGET = Target("example.org", 80)


def test_the_host_header() -> None:
    assert TARGET.authority == "example.org"
    assert Target("example.org", 8080).authority == "example.org:8080"
    assert Target("example.org", 443, ssl.create_default_context()).authority == "example.org"
    assert Target("::1", 8000).authority == "[::1]:8000"


def test_a_request_without_body() -> None:
    assert Deck(TARGET, [Request("GET", "/a?b=c", (), b"")]).wire(5) == (
        b"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\n\r\n"
    )


def test_an_empty_post_says_so() -> None:
    wire = Deck(TARGET, [Request("POST", "/", (), b"")]).wire(0)
    assert b"Content-Length: 0\r\n" in wire


def test_numbered_requests() -> None:
    deck = Deck(TARGET, [Request("POST", "/", (), b"body", ("X-Draw", "a/"))])
    assert deck.wire(41).endswith(b"X-Draw: a/41\r\n\r\nbody")


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Request("POST", "/", (("X-A", "a\r\nX-B: b"),), b""), "'X-A'"),
        (Request("POST", "/", (("X A", "a"),), b""), "'X A'"),
        (Request("POST", "/", (("X-A", "한글"),), b""), "'X-A'"),
        (Request("PO ST", "/", (), b""), "PO ST"),
        (Request("HEAD", "/", (), b""), "HEAD"),
        (Request("GET", "/a b", (), b""), "/a b"),
        (Request("GET", "/\r\n", (), b""), "path"),
        (Request("GET", "a", (), b""), "path"),
    ],
)
def test_what_http_does_not_allow(request_: Request, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Deck(TARGET, [request_])


def test_nothing_to_send() -> None:
    with pytest.raises(InputError, match="nothing"):
        Deck(TARGET, [])


def test_a_secret_is_not_in_the_message() -> None:
    with pytest.raises(InputError) as caught:
        Deck(TARGET, [Request("GET", "/", (("Authorization", "Bearer se\ncret"),), b"")])
    assert "cret" not in str(caught.value)
