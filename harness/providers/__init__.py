"""Providers, and how ``--provider`` names one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from harness.clock import Clock
from harness.errors import InputError
from harness.providers.base import Completion, Provider, ProviderError, Trace
from harness.providers.recorder import Recorder
from harness.providers.throttled import Throttled
from harness.scenario import Scenario
from harness.simulator.profile import NO_OVERRIDES, Overrides

__all__ = [
    "Completion",
    "Provider",
    "ProviderError",
    "ProviderSettings",
    "Recorder",
    "Trace",
    "check_provider",
    "make_provider",
]


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What makes a provider: ``spec`` is ``sim[:profile]``, ``local[:MODEL.gguf]`` or a URL.

    ``timeout`` bounds a call in seconds; ``rate_limit`` is in calls per second (None: no limit);
    ``time_scale`` and ``overrides`` are for the simulator in process; ``slots`` is how many calls
    the local model serves at once; without ``keepalive`` every call opens a connection.
    """

    spec: str
    seed: int = 0
    time_scale: float = 1.0
    timeout: float = 300.0
    model: str | None = None
    rate_limit: float | None = None
    slots: int = 4
    keepalive: bool = True
    overrides: Overrides = NO_OVERRIDES


def check_provider(settings: ProviderSettings) -> None:
    """Refuse, before anything is written or started, what can never work. Raises InputError."""
    kind, _, rest = settings.spec.partition(":")
    if kind not in ("sim", "local", "http", "https"):
        raise InputError(
            f"{settings.spec!r}: no such provider; write sim[:PROFILE], local[:MODEL.gguf] "
            "or the URL of an OpenAI-compatible API, http(s)://HOST/v1"
        )
    if kind != "sim" and settings.time_scale != 1.0:
        raise InputError("--time-scale is for the simulator; a real model keeps its own time")
    if kind in ("sim", "local") and settings.model is not None:
        raise InputError(f"--model is for a server that has several, not for {kind}")
    if kind == "local" and not settings.keepalive:
        raise InputError("keepalive = false is for a server over the network, not for local")
    if kind == "sim":
        from harness.simulator.profile import load_profile

        load_profile(rest or "default")
    elif kind != "local":
        from harness.providers.openai_wire import checked_base

        checked_base(settings.spec)


def make_provider(
    settings: ProviderSettings, clock: Clock, scenarios: Sequence[Scenario]
) -> Provider:
    """The provider that ``settings`` name, behind its wrappers: rate limit outside, calls inside.

    Raises InputError for a spec that names none. Modules are imported only when named.
    """
    check_provider(settings)
    inner = _inner(settings, clock, scenarios)
    if settings.rate_limit is None:
        return inner
    return Throttled(inner, settings.rate_limit, clock)


def _inner(settings: ProviderSettings, clock: Clock, scenarios: Sequence[Scenario]) -> Provider:
    kind, _, rest = settings.spec.partition(":")
    if kind == "sim":
        from harness.providers.simulated import SimulatedProvider
        from harness.simulator.engine import Engine
        from harness.simulator.profile import load_profile

        profile = load_profile(rest or "default")
        engine = Engine(profile, settings.seed, settings.time_scale, settings.overrides)
        engine.register(scenarios)
        return SimulatedProvider(
            engine, clock, timeout=settings.timeout, keepalive=settings.keepalive
        )
    if kind == "local":
        from harness.providers.local import LocalProvider

        return LocalProvider(rest or None, clock, timeout=settings.timeout, slots=settings.slots)
    from harness.providers.openai_http import HttpProvider
    from harness.providers.openai_wire import KEY_VARIABLE

    return HttpProvider(
        settings.spec,
        clock,
        timeout=settings.timeout,
        key=os.environ.get(KEY_VARIABLE) or None,
        model=settings.model,
        scenarios=scenarios,
        keepalive=settings.keepalive,
    )
