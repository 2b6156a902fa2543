"""What the page is told by the command that starts it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.demo.words import LANGS, Words


@dataclass(frozen=True, slots=True)
class Options:
    """``service``: its URL; ``runs``: a folder of recorded runs; ``provider`` and ``time_scale``:
    what the service was started with; ``scenario``: the one to begin with (None: the usual).
    """

    service: str
    provider: str
    time_scale: float
    runs: Path
    lang: str
    scenario: str | None = None

    def at(self, service: str) -> "Options":
        """The same for a service that has started meanwhile."""
        return replace(self, service=service)

    def arguments(self) -> list[str]:
        """The same for a command line."""
        named = {
            "service": self.service,
            "provider": self.provider,
            "time-scale": repr(self.time_scale),
            "runs": str(self.runs),
            "lang": self.lang,
            "scenario": self.scenario,
        }
        return [f"--{name}={value}" for name, value in named.items() if value is not None]

    def model(self, words: Words) -> str:
        """What answers, in words; a simulated model is always called one."""
        if self.provider.partition(":")[0] != "sim":
            return words("page.model", name=self.provider)
        if self.time_scale == 1:
            return words("page.simulated")
        return words("page.simulated_scaled", scale=f"{self.time_scale:g}")


def read_arguments(argv: Sequence[str]) -> Options:
    """The counterpart of ``Options.arguments``."""
    parser = argparse.ArgumentParser()
    for name in ("service", "provider"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--time-scale", type=float, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--lang", choices=LANGS, required=True)
    parser.add_argument("--scenario")
    return Options(**vars(parser.parse_args(argv)))
