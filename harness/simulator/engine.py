"""The simulated model itself: from a request to a planned reply with its times. Pure but for its
registry of known stories.
"""

import hashlib
import itertools
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from harness.prompt import edit_prompt
from harness.records import Usage
from harness.scenario import Scenario
from harness.simulator.answers import (
    Known,
    attempt_edit,
    edit_reply,
    find_story,
    summary_reply,
)
from harness.simulator.profile import CallTimes, Overrides, Profile

Fault = Literal["http_5xx", "rate_limited", "reset"]
CHARS_PER_TOKEN = 3
DEFAULT_GAP_SHAPE = 2.0  # gaps with a coefficient of variation of 0.7


@dataclass(frozen=True, slots=True)
class Reply:
    """One planned answer: its text, and when, in seconds from receipt, the first and the last of
    its tokens are out.
    """

    text: str
    ttft_s: float
    total_s: float
    usage: Usage
    finish_reason: str
    fault: Fault | None
    gap_shape: float
    gap_seed: int

    @property
    def tokens(self) -> list[str]:
        """The text as it streams; cut up here, since only a stream needs it."""
        return [
            self.text[i : i + CHARS_PER_TOKEN] for i in range(0, len(self.text), CHARS_PER_TOKEN)
        ]

    def moments(self) -> list[float]:
        """When each token is out. Gaps are gamma distributed and add up to total_s − ttft_s; they
        are drawn here, since only a stream needs them.
        """
        count = len(self.tokens)
        if count < 2:
            return [self.total_s] * count
        rng = random.Random(self.gap_seed)
        gaps = [rng.gammavariate(self.gap_shape, 1.0) for _ in range(count - 1)]
        scale = (self.total_s - self.ttft_s) / sum(gaps)
        return list(itertools.accumulate([self.ttft_s, *(gap * scale for gap in gaps)]))


class Engine:
    """A simulated model: a profile, a seed and a time scale (0.02 is fifty times faster).

    A call is drawn from the hash of what the caller sends in ``X-Harness-Draw`` (seed, scenario,
    round, arm, call, attempt), so that in process and over HTTP the same call gets the same
    answer; calls without it are drawn from ``seed`` and their order of arrival.
    """

    def __init__(
        self,
        profile: Profile,
        seed: int,
        time_scale: float = 1.0,
        overrides: Overrides | None = None,
    ) -> None:
        self.overrides = overrides or Overrides()
        answers = self.overrides.answers(profile.answers)
        self.profile = profile.model_copy(update={"answers": answers})
        self.seed = seed
        self.time_scale = time_scale
        self._served = itertools.count()
        self._known: dict[str, Known] = {}
        self._arrivals = itertools.count()

    def register(self, scenarios: Iterable[Scenario]) -> None:
        """Learn the right answers, found again by the text of the edit prompt."""
        for scenario in scenarios:
            text = edit_prompt(scenario).messages[-1][1]
            self.learn(text, Known(scenario.story, scenario.reference))

    def learn(self, prompt_text: str, known: Known) -> None:
        """Learn the right answer to a prompt whose last message is ``prompt_text``."""
        self._known[_fingerprint(prompt_text)] = known

    def plan(self, messages: list[tuple[str, str]], max_tokens: int | None, draw: str) -> Reply:
        """Everything about the answer to one call, decided at once."""
        key = draw or f"{self.seed}|#{next(self._arrivals)}"
        rng = random.Random(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest())
        known = self._known.get(_fingerprint(messages[-1][1] if messages else ""))
        if known is None and (original := find_story(messages)) is not None:
            known = attempt_edit(original)
        fault = self._fault(rng, draw)
        if known is None:
            text, finish, times = summary_reply(messages, rng), "stop", self.profile.summary
        else:
            text, finish = edit_reply(known, self.profile, rng)
            times = self.profile.edit
        text += "\n" * round(len(text) * (self.overrides.length_factor - 1))
        if max_tokens is not None and len(text) > max_tokens * CHARS_PER_TOKEN:
            text, finish = text[: max_tokens * CHARS_PER_TOKEN], "length"
        count = -(-len(text) // CHARS_PER_TOKEN)
        ttft, total, shape = _times(times, count, rng)
        scale = self._scale()
        prompt_tokens = sum(len(content) for _, content in messages) // CHARS_PER_TOKEN
        return Reply(
            text=text,
            ttft_s=ttft * scale,
            total_s=total * scale,
            usage=Usage(prompt=prompt_tokens, completion=count),
            finish_reason=finish,
            fault=fault,
            gap_shape=shape,
            gap_seed=rng.getrandbits(64),
        )

    def _scale(self) -> float:
        """What a drawn time is multiplied by for this call; counts the call as served."""
        drift = 1 + self.overrides.drift_per_call * next(self._served)
        return self.time_scale * self.overrides.latency_factor * max(drift, 0.0)

    def _fault(self, rng: random.Random, draw: str) -> Fault | None:
        failing = self.overrides.first_call_fails
        if failing and draw.endswith("|edit|1") and rng.random() < failing:
            return "reset"
        faults = self.profile.faults
        value = rng.random()
        for name, share in (
            ("http_5xx", faults.http_5xx),
            ("rate_limited", faults.rate_limited),
            ("reset", faults.reset),
        ):
            if value < share:
                return name  # type: ignore[return-value]
            value -= share
        return None


def _times(times: CallTimes, count: int, rng: random.Random) -> tuple[float, float, float]:
    """Time to the first and to the last token, and the gamma shape of the gaps between.

    With ``itl_s`` the gaps' sum is drawn at once: n gaps of Gamma(k, θ) add up to Gamma(nk, θ),
    where k = 1/cv² and θ = mean/k.
    """
    first = times.ttft_s.draw(rng)
    if times.itl_s is None:
        assert times.total_s is not None
        total = times.total_s.draw(rng)
        return min(first, total), total, DEFAULT_GAP_SHAPE
    shape = 1 / max(times.itl_s.cv, 0.01) ** 2
    if count < 2 or times.itl_s.mean == 0:
        return first, first, shape
    return first, first + rng.gammavariate((count - 1) * shape, times.itl_s.mean / shape), shape


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def registration(scenarios: Iterable[Scenario]) -> bytes:
    """The scenarios as the simulator's ``POST /x-sim/scenarios`` takes them."""
    items = [
        {
            "prompt": edit_prompt(scenario).messages[-1][1],
            "original": scenario.story.to_data(),
            "reference": scenario.reference.to_data(),
        }
        for scenario in scenarios
    ]
    return json.dumps({"scenarios": items}, ensure_ascii=False).encode()
