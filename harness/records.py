"""The frozen records of a run: what one line of each file holds, and its schema number.

Stamps are monotonic seconds since the start of the record's segment. ``None`` means not measured
or not applicable, never zero.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

SCHEMA = 1

Outcome = Literal["ok", "wrong", "malformed", "error", "cancelled", "dropped"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
ANSWERED: tuple[Outcome, ...] = ("ok", "wrong", "malformed")

Mode = Literal["blocking", "async", "stream"]
"""How a call is made: holding a thread, awaited whole, or read as it comes."""

ErrorType = Literal[
    "timeout",
    "connect",
    "no_socket",
    "reset",
    "http_4xx",
    "http_5xx",
    "rate_limited",
    "truncated",
    "protocol",
    "internal",
]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of one answer; ``turn``, ``field`` and ``why`` explain the first failure."""

    id: str
    kind: str
    ok: bool
    turn: int | None
    field: str | None
    why: str | None
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class CallError:
    """Why a call got no answer. The message never holds a key or a header."""

    type: ErrorType
    message: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a call as the server counted them; ``cached`` is part of ``prompt``."""

    prompt: int
    completion: int
    cached: int | None = None


@dataclass(frozen=True, slots=True)
class SimTiming:
    """A simulator's own true timing of a call, in seconds from its receipt of the request."""

    ttft_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider call.

    ``mode``: how it was called; ``due``: the pipeline asked for it; ``admitted``: the rate limit
    let it go (None: no limit); ``sent``: the request left; ``first_token``, ``last_token``: only
    when streamed; ``done``: the answer or the error was there. ``stopped_early``: the caller ended
    the call, having seen that the answer could no longer become a story, or was itself cancelled.
    """

    call: Literal["edit", "summary"]
    due: float
    admitted: float | None = None
    sent: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    done: float | None = None
    status: int | None = None
    error: CallError | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    chunks: int | None = None
    stopped_early: bool = False
    sim: SimTiming | None = None
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a reply holds no story: a reason from a short list, and the details."""

    reason: Literal["empty", "no_json", "truncated", "bad_json", "bad_story", "too_long"]
    why: str


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One scenario through one arm once.

    ``scheduled``: when the workload wanted it; ``eligible``: when it could begin (its slot was
    free too); ``done``: when its caller had it; ``own_done``: when the item itself was finished,
    earlier than ``done`` where a batch holds it back. ``position`` is the place (from 0) of the
    arm within the block. ``summary`` is null when no summary was asked for. ``uncounted``: seconds
    between ``eligible`` and ``sent`` that a load run leaves out of the response time, since neither
    the server nor work of the generator took them (None: it did not send); 0 in other runs.
    """

    trial: str
    scenario: str
    pipeline: str
    repeat: int
    block: int
    position: int
    segment: int
    warmup: bool
    scheduled: float
    eligible: float | None
    sent: float | None
    first_token: float | None
    last_token: float | None
    done: float | None
    own_done: float | None
    outcome: Outcome
    error: CallError | None
    malformed: Malformed | None
    attempts: tuple[Attempt, ...]
    usage: Usage | None
    checks: tuple[CheckResult, ...]
    summary: str | None = None
    uncounted: float | None = 0.0

    @property
    def answered(self) -> bool:
        return self.outcome in ANSWERED

    @property
    def response_time(self) -> float | None:
        """Seconds from the scheduled moment to the answer, without ``uncounted``; None when
        unanswered.
        """
        if not self.answered or self.done is None:
            return None
        return self.done - self.scheduled - (self.uncounted or 0.0)

    @property
    def service_time(self) -> float | None:
        """Seconds from sending to the answer, without what a rate limit kept later calls waiting;
        None when unanswered.
        """
        if not self.answered or self.done is None or self.sent is None:
            return None
        waits = (a.admitted - a.due for a in self.attempts[1:] if a.admitted is not None)
        return self.done - self.sent - sum(waits)

    @property
    def ttft(self) -> float | None:
        """Seconds from sending the edit call to its first token; None when not streamed."""
        if not self.answered or self.first_token is None or self.sent is None:
            return None
        return self.first_token - self.sent


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """One arm's stretch of one block: the process while nothing but this arm ran.

    ``cpu_s`` is this process's own processor time; ``lag_s`` the overshoots of a 10 ms heartbeat
    on the event loop; peaks are None where the platform cannot tell.
    """

    block: int
    pipeline: str
    segment: int
    repeat: int
    position: int
    warmup: bool
    started: float
    ended: float
    trials: int
    cpu_s: float
    peak_rss_mb: float | None
    peak_threads: int | None
    peak_sockets: int | None
    lag_s: tuple[float, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply text of one attempt (``attempt`` counts from 0 within the trial)."""

    trial: str
    attempt: int
    call: Literal["edit", "summary"]
    text: str


def to_dict(record: Any) -> dict[str, Any]:
    """A record as JSON data."""
    return asdict(record)


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that ``cls`` knows: newer files may have more (see the schema rule)."""
    names = {f.name for f in fields(cls)}
    return {key: value for key, value in data.items() if key in names}


def _optional(cls: type, data: Mapping[str, Any] | None) -> Any:
    return None if data is None else cls(**_known(cls, data))


def attempt_from_dict(data: Mapping[str, Any]) -> Attempt:
    values = _known(Attempt, data)
    values["error"] = _optional(CallError, data.get("error"))
    values["usage"] = _optional(Usage, data.get("usage"))
    values["sim"] = _optional(SimTiming, data.get("sim"))
    return Attempt(**values)


def trial_from_dict(data: Mapping[str, Any]) -> TrialRecord:
    """Read one line of ``records.jsonl``. Raises KeyError or TypeError when it is not one."""
    values = _known(TrialRecord, data)
    values["error"] = _optional(CallError, data["error"])
    values["malformed"] = _optional(Malformed, data["malformed"])
    values["usage"] = _optional(Usage, data["usage"])
    values["attempts"] = tuple(attempt_from_dict(item) for item in data["attempts"])
    values["checks"] = tuple(CheckResult(**_known(CheckResult, c)) for c in data["checks"])
    return TrialRecord(**values)


def block_from_dict(data: Mapping[str, Any]) -> BlockRecord:
    values = _known(BlockRecord, data)
    values["lag_s"] = tuple(data["lag_s"])
    return BlockRecord(**values)


def answer_from_dict(data: Mapping[str, Any]) -> Answer:
    return Answer(**_known(Answer, data))
