"""Records for the tests of statistics, with only what a test cares about."""

from harness.records import CallError, ErrorType, Outcome, TrialRecord


def trial(
    pipeline: str = "sync",
    took: float | None = 1.0,
    *,
    scenario: str = "s1",
    repeat: int = 1,
    block: int = 1,
    segment: int = 0,
    warmup: bool = False,
    scheduled: float = 10.0,
    delay: float = 0.25,
    ttft: float | None = None,
    outcome: Outcome = "ok",
    error: ErrorType | None = None,
) -> TrialRecord:
    """A trial that was done ``took`` seconds after its schedule, sent ``delay`` after it."""
    sent = scheduled + delay
    return TrialRecord(
        trial=f"{pipeline}/{scenario}/{repeat}/{block}/{segment}",
        scenario=scenario,
        pipeline=pipeline,
        repeat=repeat,
        block=block,
        position=0,
        segment=segment,
        warmup=warmup,
        scheduled=scheduled,
        eligible=scheduled,
        sent=sent,
        first_token=None if ttft is None else sent + ttft,
        last_token=None,
        done=None if took is None else scheduled + took,
        own_done=None,
        outcome=outcome,
        error=None if error is None else CallError(error, "planted"),
        malformed=None,
        attempts=(),
        usage=None,
        checks=(),
    )
