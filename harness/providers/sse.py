"""Server-sent events from bytes that may be split anywhere."""

from collections.abc import Iterator

MAX_LINE = 1_000_000


class SSEError(ValueError):
    """The stream is not server-sent events."""


class SSEReader:
    """Turns chunks of bytes into the ``data`` of events; comments and other fields are skipped."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of every event that ``chunk`` completes. Raises SSEError."""
        self._rest += chunk
        start = 0
        while (end := self._rest.find(b"\n", start)) >= 0:
            line = bytes(self._rest[start:end]).removesuffix(b"\r")
            start = end + 1
            if not line:
                if data := "\n".join(self._data):
                    yield data
                self._data = []
            elif line.startswith(b"data:"):
                try:
                    self._data.append(line[5:].decode("utf-8").removeprefix(" "))
                except UnicodeDecodeError as error:
                    raise SSEError(f"event is not UTF-8: {error}") from error
        del self._rest[:start]
        if len(self._rest) > MAX_LINE:
            raise SSEError(f"a line has more than {MAX_LINE:,} bytes")
