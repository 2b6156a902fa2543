"""How long the service takes to start: from launching the process to the line that
says where it listens."""

import select
import subprocess
import sys
import time

from harness.errors import InputError

COMMAND = (sys.executable, "-m", "harness", "serve", "--port", "0")
LONGEST_S = 120.0


def measure_startup(command: tuple[str, ...] = COMMAND) -> float:
    """Seconds from the launch of ``command`` until it says ``listening on URL``; it is ended then.

    Raises InputError when it ends, or is silent for two minutes, instead.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is this process's to handle
    )
    try:
        assert process.stdout is not None
        line = _first_line(process)
        took = time.perf_counter() - began
        if not line.startswith("listening on "):
            process.kill()
            complaint = " ".join(process.communicate()[1].split())[-200:]
            raise InputError(f"the service did not start: {complaint or 'it said nothing'}")
        return took
    finally:
        process.terminate()
        process.communicate()


def _first_line(process: subprocess.Popen[str]) -> str:
    """The first line on standard output; empty when none comes in time."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], LONGEST_S)
    return process.stdout.readline() if readable else ""
