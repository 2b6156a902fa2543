"""``harness serve``."""

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import sys
from typing import Any

from pydantic import ValidationError

from harness.clock import MonotonicClock, run_loop
from harness.errors import InputError
from harness.exit_codes import INTERRUPTED, OK
from harness.providers import ProviderSettings, check_provider, make_provider
from harness.scenario import describe, load_scenarios, shipped_dir
from harness.service.service import Service
from harness.service.serving import serving
from harness.service.settings import ServiceSettings


def main(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; a second one ends it at once."""
    if not 0 <= args.port <= 65535:
        raise InputError(f"--port: is {args.port}, must be from 0 to 65535")
    settings = _settings(args)
    token = _token(args.token_env)
    provider = _provider(args, settings)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if args.log_requests else logging.WARNING,
        format="harness: %(message)s",
    )
    try:
        run_loop(_until_stopped(args, settings, provider, token))
    except OSError as error:
        raise InputError(
            f"--host {args.host} --port {args.port}: cannot listen: {error.strerror}"
        ) from error
    return OK


async def _until_stopped(
    args: argparse.Namespace,
    settings: ServiceSettings,
    provider: ProviderSettings,
    token: str | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    clock = MonotonicClock()
    made = make_provider(provider, clock, load_scenarios([shipped_dir()]))
    service = Service(made, clock, settings, token)
    async with serving(service, args.host, args.port, log_requests=args.log_requests) as url:
        stopping = asyncio.create_task(stop.wait())
        ready = asyncio.create_task(service.wait_ready())
        await asyncio.wait({stopping, ready}, return_when=asyncio.FIRST_COMPLETED)
        gc.collect()
        gc.freeze()  # what is there now stays: no collection need walk it while requests wait
        if ready.done():
            told = {"url": url, "startup_s": service.startup_s}
            print(json.dumps(told) if args.json else f"listening on {url}", flush=True)
        ready.cancel()
        await stopping


def _settings(args: argparse.Namespace) -> ServiceSettings:
    given = {
        name: value
        for name in ServiceSettings.model_fields
        if (value := getattr(args, name, None)) is not None
    }
    try:
        return ServiceSettings.model_validate(given)
    except ValidationError as error:
        key, _, why = describe(error).partition(": ")
        raise InputError(f"--{key.replace('_', '-')}: {why}") from error


def _provider(args: argparse.Namespace, settings: ServiceSettings) -> ProviderSettings:
    _between("--time-scale", args.time_scale, 0, 100)
    if args.rate_limit is not None:
        _between("--rate-limit", args.rate_limit, 0, 100_000)
    made = ProviderSettings(
        spec=args.provider,
        seed=settings.seed,
        time_scale=args.time_scale,
        timeout=settings.deadline,
        model=args.model,
        rate_limit=args.rate_limit,
        slots=min(settings.concurrency, 16),
    )
    check_provider(made)
    return made


def _between(option: str, value: float, above: float, most: float) -> None:
    if not above < value <= most:
        raise InputError(f"{option}: is {value:g}, must be above {above:g} and at most {most:g}")


def _token(variable: str | None) -> str | None:
    """The bearer token, which is named by its variable so that it is in no list of processes."""
    if variable is None:
        return None
    token: Any = os.environ.get(variable)
    if not token:
        raise InputError(f"--token-env {variable}: this variable is not set")
    if not (token.isascii() and token.isprintable()):
        raise InputError(f"--token-env {variable}: holds a character that no header may")
    return str(token)
