"""``harness simulate``."""

import argparse
import asyncio
import contextlib
import json
import os
import signal

from harness.clock import run_loop
from harness.errors import InputError
from harness.exit_codes import OK
from harness.scenario import load_scenarios, shipped_dir
from harness.simulator.engine import Engine
from harness.simulator.profile import load_profile
from harness.simulator.server import serve


def main(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    if not 0 < args.time_scale <= 100:
        raise InputError(f"--time-scale: is {args.time_scale:g}, must be above 0 and at most 100")
    if not 0 <= args.port <= 65535:
        raise InputError(f"--port: is {args.port}, must be from 0 to 65535")
    key = os.environ.get("HARNESS_API_KEY") if args.require_key else None
    if args.require_key and not key:
        raise InputError("--require-key: set the key in HARNESS_API_KEY")
    engine = Engine(load_profile(args.profile), args.seed, args.time_scale)
    engine.register(load_scenarios([shipped_dir()]))
    try:
        run_loop(_until_stopped(engine, args, key))
    except OSError as error:
        raise InputError(f"--port {args.port}: cannot listen: {error.strerror}") from error
    return OK


async def _until_stopped(engine: Engine, args: argparse.Namespace, key: str | None) -> None:
    def ready(url: str) -> None:
        print(json.dumps({"url": url}) if args.json else f"listening on {url}", flush=True)

    server = asyncio.ensure_future(serve(engine, args.host, args.port, key=key, ready=ready))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await server
