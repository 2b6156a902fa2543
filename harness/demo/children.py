"""The processes behind the demo, the service and the page's server: started, and surely ended."""

import asyncio
import json
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from harness.demo.options import Options
from harness.errors import InputError

HOST = "127.0.0.1"
GRACE_S = 8.0  # to end by itself, then it is killed
READY_S = 60.0
LOOK_S = 0.1
PAGE = (
    *("--server.headless", "true", "--server.address", HOST, "--server.fileWatcherType", "none"),
    *("--browser.gatherUsageStats", "false", "--client.toolbarMode", "minimal"),
    *("--client.showErrorLinks", "false", "--logger.level", "error"),
    *("--theme.light.primaryColor", "#0072b2", "--theme.dark.primaryColor", "#56b4e9"),
    *("--theme.light.textColor", "#1a1d21", "--theme.dark.textColor", "#e6e9ec"),
    *("--theme.light.backgroundColor", "#ffffff", "--theme.dark.backgroundColor", "#14171a"),
    *("--theme.light.secondaryBackgroundColor", "#f5f6f8"),
    *("--theme.dark.secondaryBackgroundColor", "#1c2024"),
)


@asynccontextmanager
async def service(
    provider: str, time_scale: float, model: str | None
) -> AsyncIterator[tuple[Process, str]]:
    """``harness serve`` on a free port, once it takes edits; its process and its URL.

    Raises InputError when it ends before that; why, it has said on standard error.
    """
    command = ["harness", "serve", "--json", "--grace", "0.5", "--provider", provider]
    command += ["--time-scale", repr(time_scale)]
    command += [] if model is None else ["--model", model]
    async with _child(command, stdout=PIPE) as process:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise InputError("the service did not start; what it says of it stands above")
        yield process, json.loads(line)["url"]


@asynccontextmanager
async def page(options: Options, port: int) -> AsyncIterator[tuple[Process, str]]:
    """Streamlit with the demo's page on ``port``, once it answers; its process and its URL.

    Raises InputError when it does not.
    """
    app = str(Path(__file__).with_name("app.py"))
    command = ["streamlit", "run", app, "--server.port", str(port), *PAGE, "--"]
    async with _child([*command, *options.arguments()], stdout=DEVNULL) as process:
        url = f"http://{HOST}:{port}"
        try:
            async with asyncio.timeout(READY_S):
                await _answers(f"{url}/_stcore/health", process)
        except TimeoutError:
            raise InputError(f"the page's server did not answer within {READY_S:g} s") from None
        yield process, url


def free_port(wanted: int) -> int:
    """``wanted``, or for 0 any free one. Raises InputError when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise InputError(f"--port {wanted}: cannot listen: {error.strerror}") from error
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _child(module: Sequence[str], stdout: int) -> AsyncIterator[Process]:
    """A Python module as a process out of the terminal's reach: Ctrl-C is ours to pass on."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "harness.demo.leash", *module),
        stdin=PIPE,
        stdout=stdout,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE_S):
            await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _answers(url: str, process: Process) -> None:
    """Return when there is a server. Raises InputError when its process ends first."""
    async with aiohttp.ClientSession() as session:
        while process.returncode is None:
            with suppress(aiohttp.ClientError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(LOOK_S)
    raise InputError("the page's server did not start; what it says of it stands above")
