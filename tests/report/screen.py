"""A terminal for tests: runs a command on one, and works out what stood on its screen."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rich.cells import cell_len

_CODE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])")


@dataclass
class Screen:
    """What a program has written, as lines; ``styles`` are the colours and weights it asked for."""

    columns: int
    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    cursor_shown: bool = True
    styles: set[str] = field(default_factory=set)
    widest: int = 0

    def write(self, text: str) -> None:
        """Take output: what rich's live display uses of a terminal's language, and no more."""
        at = 0
        for match in _CODE.finditer(text):
            self._plain(text[at : match.start()])
            self._code(*match.groups())
            at = match.end()
        self._plain(text[at:])

    def _plain(self, text: str) -> None:
        for piece in re.split(r"(\r|\n)", text):
            if piece == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif piece != "\r" and piece:
                self.lines[self.row] += piece
                self.widest = max(self.widest, cell_len(self.lines[self.row]))

    def _code(self, private: str, number: str, letter: str) -> None:
        if letter == "A":
            self.row = max(0, self.row - int(number or 1))
        elif letter == "K":
            self.lines[self.row] = ""
        elif letter == "m":
            self.styles.add(number)
        elif private and number == "25":
            self.cursor_shown = letter == "h"
        else:
            raise AssertionError(f"not known here: {private}{number}{letter}")


@dataclass
class OnTerminal:
    """A command whose standard error is a terminal; ``said`` grows as it writes."""

    process: subprocess.Popen[str]
    master: int
    columns: int
    said: bytearray = field(default_factory=bytearray)

    def frames(self) -> Iterator[str]:
        """What stood on the screen each time before it was drawn anew, and at the end."""
        screen = Screen(self.columns)
        for piece in re.split(r"(?=\r\x1b\[2K)", self.said.decode()):
            before = "\n".join(screen.lines).strip()
            screen.write(piece)
            yield before
        yield "\n".join(screen.lines).strip()

    def screen(self) -> Screen:
        """The screen as it is now."""
        screen = Screen(self.columns)
        screen.write(self.said.decode())
        return screen


@contextmanager
def on_terminal(
    command: Sequence[str],
    *,
    columns: int = 120,
    env: Mapping[str, str] | None = None,
    read: bool = True,
) -> Iterator[OnTerminal]:
    """Start ``python`` with ``command``; ``read`` False: the terminal takes nothing."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")}
    with subprocess.Popen(
        [sys.executable, *command],
        env={**inherited, "TERM": "xterm-256color", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
    ) as process:
        os.close(slave)
        found = OnTerminal(process, master, columns)

        def take() -> None:
            with suppress(OSError):  # nobody has it open any more
                while data := os.read(master, 1 << 16):
                    found.said += data

        reader = threading.Thread(target=take)
        try:
            if read:
                reader.start()
            yield found
        finally:
            process.kill()
            process.wait()
            if read:
                reader.join()
            os.close(master)
