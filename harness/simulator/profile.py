"""How a simulated model behaves: times, kinds of answer, faults; read from TOML."""

import math
import random
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import InputError
from harness.scenario import describe, shipped_dir

Share = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dist(_Table):
    """A lognormal distribution by its mean (seconds) and coefficient of variation."""

    mean: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cv: Annotated[float, Field(ge=0, le=5)] = 0.0

    def draw(self, rng: random.Random) -> float:
        """One value. sigma² = ln(1 + cv²), mu = ln(mean) − sigma²/2."""
        if self.mean == 0 or self.cv == 0:
            return self.mean
        variance = math.log1p(self.cv**2)
        return rng.lognormvariate(math.log(self.mean) - variance / 2, math.sqrt(variance))


class CallTimes(_Table):
    """The times of one call: to the first token, and either the whole call or each token's gap."""

    ttft_s: Dist
    total_s: Dist | None = None
    itl_s: Dist | None = None

    @model_validator(mode="after")
    def _one(self) -> "CallTimes":
        if (self.total_s is None) == (self.itl_s is None):
            raise ValueError("needs either total_s or itl_s")
        return self


class Answers(_Table):
    """What share of the edits is right, wrong, without a story, or cut off."""

    right: Share
    wrong: Share = 0.0
    malformed: Share = 0.0
    truncated: Share = 0.0

    @model_validator(mode="after")
    def _whole(self) -> "Answers":
        total = self.right + self.wrong + self.malformed + self.truncated
        if abs(total - 1) > 1e-9:
            raise ValueError(f"right + wrong + malformed + truncated is {total:g}, must be 1")
        return self


class Dress(_Table):
    """How a story that is there comes: fenced, wrapped in an object, with chatter; else bare."""

    fenced: Share = 0.0
    wrapped: Share = 0.0
    chatty: Share = 0.0

    @model_validator(mode="after")
    def _whole(self) -> "Dress":
        if self.fenced + self.wrapped + self.chatty > 1 + 1e-9:
            raise ValueError("fenced + wrapped + chatty is more than 1")
        return self


class Faults(_Table):
    """What share of the calls gets no answer; ``reset`` breaks the connection half-way."""

    http_5xx: Share = 0.0
    rate_limited: Share = 0.0
    reset: Share = 0.0

    @model_validator(mode="after")
    def _whole(self) -> "Faults":
        if self.http_5xx + self.rate_limited + self.reset > 1 + 1e-9:
            raise ValueError("the shares of the faults add up to more than 1")
        return self


class Overrides(_Table):
    """What one arm's simulated model does differently: planted effects, for claims and tests.

    ``latency_factor`` multiplies all times; ``drift_per_call`` lets them grow by that fraction of
    themselves with every call served; ``connect_s`` is what a new connection costs, in seconds;
    ``right`` replaces the share of right answers (the rest of them become wrong ones);
    ``length_factor`` pads answers to as many times their tokens, in the same time;
    ``first_call_fails`` is the share of trials whose first call breaks off half-way.
    """

    latency_factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    drift_per_call: Annotated[float, Field(ge=-0.01, le=1)] = 0.0
    connect_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    right: Share | None = None
    length_factor: Annotated[float, Field(ge=1, le=10)] = 1.0
    first_call_fails: Share = 0.0

    def answers(self, usual: Answers) -> Answers:
        """The shares of answers with ``right`` in place."""
        if self.right is None:
            return usual
        return Answers(right=self.right, wrong=1 - self.right)


NO_OVERRIDES = Overrides()


class Profile(_Table):
    """A simulated model. Times are in seconds at time scale 1.

    ``capacity``: calls that it serves at once; more wait for their turn (None: no limit). It is
    the HTTP server's; in process every call is served at once.
    """

    name: str
    capacity: Annotated[int, Field(ge=1)] | None = None
    edit: CallTimes
    summary: CallTimes
    answers: Answers
    dress: Dress = Dress()
    faults: Faults = Faults()


def load_profile(name: str) -> Profile:
    """A shipped profile by name, or any by the path of its file. Raises InputError."""
    folder = shipped_dir() / "profiles"
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml")))
        raise InputError(f"{name}: no such simulator profile; known are {known}, or give a .toml")
    try:
        return Profile.model_validate({"name": path.stem, **tomllib.loads(path.read_text("utf-8"))})
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}") from error
    except (OSError, ValueError, RecursionError) as error:  # also numbers too long to read
        raise InputError(f"{path}: {error}") from error
