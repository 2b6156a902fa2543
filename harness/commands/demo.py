"""``harness demo``."""

import argparse
import asyncio
import importlib.util
import json
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from harness.clock import run_loop
from harness.demo.asked import Batch, asked_of, batch_of, first_of, shipped
from harness.demo.children import free_port, page, service
from harness.demo.options import Options
from harness.demo.plain import as_json, closing, failed, run_plain
from harness.demo.words import Words
from harness.errors import InputError
from harness.exit_codes import INTERRUPTED, OK, REFUTED
from harness.providers import ProviderSettings, check_provider

PROVIDER, SCALE = "sim:report-2025", 0.3  # an edit takes about two seconds


def main(args: argparse.Namespace) -> int:
    """Show the demo until SIGINT or SIGTERM; with ``--plain``, run it through once."""
    provider = args.provider or PROVIDER
    scale = args.time_scale
    if scale is None:
        scale = SCALE if args.provider is None else 1.0
    if not 0 < scale <= 100:
        raise InputError(f"--time-scale: is {scale:g}, must be above 0 and at most 100")
    check_provider(ProviderSettings(provider, time_scale=scale, model=args.model))
    if not 0 <= args.port <= 65535:
        raise InputError(f"--port: is {args.port}, must be from 0 to 65535")
    options = Options("", provider, scale, Path(args.runs).resolve(), args.lang, args.scenario)
    if args.plain or args.scenario:
        scenarios = shipped()
        batch = batch_of(asked_of(first_of(scenarios, args.lang, args.scenario)), scenarios)
        if args.plain:
            return run_loop(_stoppable(_plain(args, options, batch), INTERRUPTED))
    if importlib.util.find_spec("streamlit") is None:
        raise InputError(
            "the demo in the browser needs Streamlit: pip install -e '.[demo]' in the project's "
            "folder; --plain needs nothing more"
        )
    return run_loop(_stoppable(_browser(args, options), OK))


async def _stoppable(work: Coroutine[Any, Any, int], stopped: int) -> int:
    """The work's exit code, or ``stopped`` when a signal ended it, which it has then cleaned up."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return stopped


async def _browser(args: argparse.Namespace, options: Options) -> int:
    port = free_port(args.port)
    async with (
        service(options.provider, options.time_scale, args.model) as (serving, url),
        page(options.at(url), port) as (showing, address),
    ):
        if args.json:
            print(json.dumps({"url": address, "service": url}), flush=True)
        else:
            print(f"the demo is at {address} (Ctrl-C ends it)", flush=True)
        await _first_to_end(serving, showing)
    raise InputError("the demo ended by itself: one of its processes has stopped")


async def _first_to_end(*processes: Process) -> None:
    waiting = [asyncio.create_task(process.wait()) for process in processes]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


async def _plain(args: argparse.Namespace, options: Options, batch: Batch) -> int:
    words = Words(args.lang)
    out = sys.stderr if args.json else sys.stdout
    print(words("plain.title", scenario=batch[0].chapter, model=options.model(words)), file=out)
    print(words("plain.request", text=" ".join(batch[0].request.split())), file=out)
    async with service(options.provider, options.time_scale, args.model) as (_, url):
        gone = await run_plain(url, batch, words, out)
    print(f"\n{closing(gone, words)}", file=out)
    if args.json:
        print(json.dumps(as_json(gone), ensure_ascii=False))
    return REFUTED if failed(gone) else OK
