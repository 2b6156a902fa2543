"""The simulated model's plans: reproducible, and as its profile says."""

import math
import random
import statistics
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import ManualClock
from harness.edits import read_story
from harness.prompt import edit_prompt, summary_prompt
from harness.providers import Recorder
from harness.providers.simulated import SimulatedProvider
from harness.simulator.answers import SUMMARIES, Known
from harness.simulator.engine import Engine, Reply
from harness.simulator.profile import (
    Answers,
    CallTimes,
    Dist,
    Faults,
    Overrides,
    load_profile,
)
from harness.story import Story
from tests.simulated import WAYS, Way, call, profile, shipped, short, times
from tests.strategies import KOREAN

SCENARIO = short()[0]
EDIT = list(edit_prompt(SCENARIO).messages)
SUMMARY = list(summary_prompt(SCENARIO, SCENARIO.reference).messages)


def engine(name: str = "report-2025", seed: int = 1, scale: float = 1.0) -> Engine:
    made = Engine(load_profile(name), seed, scale)
    made.register([SCENARIO])
    return made


# --- draws ---


def test_the_same_draw_gives_the_same_reply_whatever_came_before() -> None:
    one, other = engine(seed=1), engine(seed=2)
    other.plan(EDIT, None, "")
    for i in range(20):
        draw = f"1|s|{i}|async|edit|1"
        reply = one.plan(EDIT, None, draw)
        assert reply == other.plan(EDIT, None, draw)
        assert reply.moments() == other.plan(EDIT, None, draw).moments()


@pytest.mark.parametrize(
    "other", ["2|s|0|a|edit|1", "1|t|0|a|edit|1", "1|s|1|a|edit|1", "1|s|0|a@aa|edit|1"]
)
def test_another_draw_gives_another_reply(other: str) -> None:
    made = engine()
    assert made.plan(EDIT, None, "1|s|0|a|edit|1").total_s != made.plan(EDIT, None, other).total_s


def test_without_a_draw_replies_go_by_seed_and_order() -> None:
    def replies(seed: int) -> list[Reply]:
        made = engine(seed=seed)
        return [made.plan(EDIT, None, "") for _ in range(5)]

    assert replies(3) == replies(3)
    assert replies(3) != replies(4)
    assert len({reply.total_s for reply in replies(3)}) == 5


# --- times ---


def test_the_report_of_2025_is_met() -> None:
    made = engine()
    totals = [
        made.plan(EDIT, None, f"{i}|edit").total_s
        + made.plan(SUMMARY, None, f"{i}|summary").total_s
        for i in range(4500)
    ]
    mean = statistics.fmean(totals)
    assert mean == pytest.approx(7.4, rel=0.02)
    assert statistics.stdev(totals) / mean == pytest.approx(0.15, abs=0.015)


def test_first_tokens_are_drawn_too() -> None:
    made = engine()
    firsts = [made.plan(EDIT, None, f"{i}").ttft_s for i in range(3000)]
    assert statistics.fmean(firsts) == pytest.approx(0.9, rel=0.02)
    assert statistics.stdev(firsts) / statistics.fmean(firsts) == pytest.approx(0.3, abs=0.015)


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.5])
def test_gaps_between_tokens_may_be_given_instead(cv: float) -> None:
    gaps = CallTimes(ttft_s=Dist(mean=0.5), itl_s=Dist(mean=0.02, cv=cv))
    made = Engine(profile(summary=gaps), 1)
    drawn, totals = [], []
    for i in range(1500):
        reply = made.plan(SUMMARY, None, f"{i}")
        assert reply.ttft_s == 0.5
        drawn += [later - earlier for earlier, later in pairwise(reply.moments())]
        totals.append((reply.total_s - 0.5) / (len(reply.tokens) - 1))
    assert statistics.fmean(totals) == pytest.approx(0.02, rel=0.05)
    assert statistics.fmean(drawn) == pytest.approx(0.02, rel=0.05)
    assert statistics.pstdev(drawn) / 0.02 == pytest.approx(max(cv, 0.01), rel=0.1)


def test_gaps_of_no_length() -> None:
    none = CallTimes(ttft_s=Dist(mean=0.5), itl_s=Dist(mean=0.0, cv=1.0))
    reply = Engine(profile(summary=none), 1).plan(SUMMARY, None, "x")
    assert set(reply.moments()) == {0.5}
    assert reply.total_s == 0.5


@pytest.mark.parametrize("limit", [None, 1, 2])
@given(number=st.integers(0, 10_000))
def test_moments_ascend_from_the_first_token_to_the_last(limit: int | None, number: int) -> None:
    reply = engine("default").plan(EDIT, limit, f"{number}")
    moments = reply.moments()
    assert len(moments) == len(reply.tokens)
    assert moments == reply.moments()
    assert 0 < reply.ttft_s <= reply.total_s
    if moments:
        assert all(earlier <= later for earlier, later in pairwise(moments))
        assert moments[-1] == pytest.approx(reply.total_s)
    if len(moments) > 1:
        assert moments[0] == reply.ttft_s


@pytest.mark.parametrize("scale", [0.02, 0.5, 3.0])
def test_a_time_scale_scales_times_and_nothing_else(scale: float) -> None:
    for i in range(20):
        plain, scaled = (
            engine().plan(EDIT, None, f"{i}"),
            engine(scale=scale).plan(EDIT, None, f"{i}"),
        )
        assert scaled.text == plain.text
        assert scaled.usage == plain.usage
        assert scaled.total_s == pytest.approx(plain.total_s * scale)
        assert scaled.ttft_s == pytest.approx(plain.ttft_s * scale)
        for quick, slow in zip(scaled.moments(), plain.moments(), strict=True):
            assert quick == pytest.approx(slow * scale)


# --- what is said ---


def test_known_scenarios_are_answered_from_their_reference() -> None:
    made = Engine(profile(), 1)
    made.register(shipped())
    for scenario in shipped():
        reply = made.plan(list(edit_prompt(scenario).messages), None, "x")
        assert read_story(reply.text) == scenario.reference
        assert reply.finish_reason == "stop"
        assert reply.usage.completion == len(reply.tokens) == math.ceil(len(reply.text) / 3)
        asked = sum(len(text) for _, text in edit_prompt(scenario).messages)
        assert reply.usage.prompt == asked // 3


def test_unknown_stories_get_a_valid_edit() -> None:
    made = Engine(profile(), 1)
    for scenario in shipped():
        story = read_story(made.plan(list(edit_prompt(scenario).messages), None, "x").text)
        assert isinstance(story, Story)
        assert story != scenario.story
        assert len(story.turns) == len(scenario.story.turns)


@pytest.mark.parametrize("messages", [[], [("user", "hello")], [("user", "[{")], SUMMARY])
def test_anything_else_gets_a_summary(messages: list[tuple[str, str]]) -> None:
    text = Engine(profile(), 1).plan(messages, None, "x").text
    assert text in (*SUMMARIES["en"], *SUMMARIES["ko"])


def test_summaries_of_shipped_scenarios_are_not_taken_for_edits_and_speak_their_language() -> None:
    made = Engine(profile(answers=Answers(right=0, malformed=1)), 1)
    for scenario in shipped():
        messages = list(summary_prompt(scenario, scenario.reference).messages)
        assert made.plan(messages, None, "x").text in SUMMARIES[scenario.language]


def test_what_it_learned_last_counts() -> None:
    made = Engine(profile(), 1)
    made.learn("x", Known(KOREAN, KOREAN))
    made.learn("x", Known(KOREAN, SCENARIO.reference))
    assert read_story(made.plan([("user", "x")], None, "d").text) == SCENARIO.reference


def test_an_answer_is_cut_at_its_limit() -> None:
    made = Engine(profile(), 1)
    made.register([SCENARIO])
    whole = made.plan(EDIT, None, "x")
    assert made.plan(EDIT, len(whole.tokens), "x") == whole
    cut = made.plan(EDIT, len(whole.tokens) - 1, "x")
    assert cut.tokens == whole.tokens[:-1]
    assert cut.finish_reason == "length"
    assert cut.usage.completion == len(cut.tokens)


# --- faults ---


def test_faults_have_their_shares() -> None:
    made = Engine(profile(faults=Faults(http_5xx=0.2, rate_limited=0.1, reset=0.05)), 1)
    total = 5000
    counts = Counter(made.plan(SUMMARY, None, f"{i}").fault for i in range(total))
    for fault, share in (("http_5xx", 0.2), ("rate_limited", 0.1), ("reset", 0.05), (None, 0.65)):
        error = 3 * math.sqrt(share * (1 - share) / total)
        assert abs(counts[fault] / total - share) < error  # type: ignore[index]


def test_faults_change_no_other_draw() -> None:
    plain, faulty = Engine(profile(), 1), Engine(profile(faults=Faults(reset=1.0)), 1)
    for i in range(10):
        one, other = plain.plan(SUMMARY, None, f"{i}"), faulty.plan(SUMMARY, None, f"{i}")
        assert (one.fault, other.fault) == (None, "reset")
        assert (one.text, one.total_s) == (other.text, other.total_s)


def test_edits_and_summaries_have_times_of_their_own() -> None:
    made = Engine(profile(edit=times(1, 3), summary=times(0.1, 0.2)), 1)
    made.register([SCENARIO])
    assert made.plan(EDIT, None, "x").total_s == 3
    assert made.plan(SUMMARY, None, "x").total_s == 0.2


def test_a_first_token_never_comes_after_the_last() -> None:
    wild = CallTimes(ttft_s=Dist(mean=1, cv=2), total_s=Dist(mean=1, cv=2))
    made = Engine(profile(summary=wild), 1)
    rng = random.Random(0)
    replies = [made.plan(SUMMARY, None, str(rng.random())) for _ in range(500)]
    assert all(reply.ttft_s <= reply.total_s for reply in replies)


# --- planted effects ---


def planted(**effects: float) -> Engine:
    made = Engine(profile(edit=times(1, 3)), 1, 1.0, Overrides(**effects))
    made.register([SCENARIO])
    return made


def test_planted_times() -> None:
    usual = planted().plan(EDIT, None, "x")
    slow = planted(latency_factor=1.5).plan(EDIT, None, "x")
    assert (slow.ttft_s, slow.total_s) == (1.5 * usual.ttft_s, 1.5 * usual.total_s)
    assert slow.text == usual.text
    drifting = planted(drift_per_call=0.1)
    totals = [drifting.plan(EDIT, None, f"{i}").total_s for i in range(4)]
    assert totals == pytest.approx([3.0, 3.3, 3.6, 3.9])


def test_planted_answers() -> None:
    made = planted(right=0.5)
    right = [
        read_story(made.plan(EDIT, None, f"{i}").text) == SCENARIO.reference for i in range(400)
    ]
    assert abs(sum(right) / 400 - 0.5) < 3 * math.sqrt(0.25 / 400)


def test_planted_length() -> None:
    usual, long = planted().plan(EDIT, None, "x"), planted(length_factor=2).plan(EDIT, None, "x")
    assert len(long.tokens) == pytest.approx(2 * len(usual.tokens), abs=1)
    assert read_story(long.text) == SCENARIO.reference
    assert long.total_s == usual.total_s


def test_planted_failures_are_the_first_calls_alone() -> None:
    made = planted(first_call_fails=1.0)
    assert made.plan(EDIT, None, "1|s|0|a|edit|1").fault == "reset"
    assert made.plan(EDIT, None, "1|s|0|a|edit|2").fault is None
    assert made.plan(SUMMARY, None, "1|s|0|a|summary|1").fault is None


@pytest.mark.parametrize(("keepalive", "waits"), [(True, [4, 3, 3]), (False, [4, 4, 4])])
@pytest.mark.parametrize("way", WAYS)
async def test_planted_connections(keepalive: bool, waits: list[float], way: Way) -> None:
    clock = ManualClock()
    provider = SimulatedProvider(planted(connect_s=1.0), clock, keepalive=keepalive)
    found = []
    for _ in range(3):
        recorder = Recorder(provider, clock, "x")
        await call(recorder, edit_prompt(SCENARIO), way)
        (attempt,) = recorder.attempts
        assert attempt.done is not None
        found.append(attempt.done - attempt.due)
    assert found == pytest.approx(waits)
