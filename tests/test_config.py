"""What a run can be made of, and how a wrong option is named."""

from typing import Any

import pytest

from harness.config import RunConfig, make_config
from harness.errors import InputError

NAN, INFINITY = float("nan"), float("inf")


def config(**values: Any) -> RunConfig:
    return make_config({"scenarios": ["scenarios"], **values})


def test_defaults_are_those_of_the_help() -> None:
    made = config()
    assert (made.pipelines, made.provider) == (["sync", "async", "batched"], "sim")
    assert (made.concurrency, made.repeats, made.warmup, made.seed) == (4, 3, 1, 0)
    assert (made.workload, made.time_scale, made.timeout) == ("closed", 1.0, 300.0)
    assert (made.summary, made.constrained, made.aa) == (True, False, False)
    assert (made.rate_limit, made.target, made.model) == (None, None, None)


@pytest.mark.parametrize(
    ("concurrency", "group", "expected"), [(1, None, 1), (4, None, 16), (4, 3, 3), (1, 5, 5)]
)
def test_scenarios_in_a_block(concurrency: int, group: int | None, expected: int) -> None:
    assert config(concurrency=concurrency, group=group).block_size == expected


@pytest.mark.parametrize(("batch_size", "expected"), [(None, 4), (2, 2)])
def test_calls_in_a_batch(batch_size: int | None, expected: int) -> None:
    assert config(batch_size=batch_size).slots_per_batch == expected


@pytest.mark.parametrize(
    ("pipelines", "aa", "expected"),
    [
        (["sync", "async"], False, ["sync", "async"]),
        (["sync", "async"], True, ["sync", "sync@aa", "async"]),
        (["sync", "async", "sync@aa"], True, ["sync", "async", "sync@aa"]),
    ],
)
def test_the_baseline_comes_a_second_time(
    pipelines: list[str], aa: bool, expected: list[str]
) -> None:
    assert config(pipelines=pipelines, aa=aa).arms == expected


def test_a_configuration_survives_the_manifest() -> None:
    made = config(concurrency=2, workload="rate=2.5,constant", target=1.5, rate_limit=3)
    assert make_config(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pipelines", []),
        *(("concurrency", value) for value in (0, -1, 10_001, 1.5)),
        *(("batch_size", value) for value in (0, -1)),
        ("group", 0),
        ("repeats", 0),
        ("warmup", -1),
        ("seed", -1),
        *(("time_scale", value) for value in (0, -1, 101, NAN, INFINITY)),
        *(("rate_limit", value) for value in (0, -1, 1e-9, 1e9, NAN, INFINITY)),
        *(("target", value) for value in (0, -1, NAN, INFINITY)),
        *(("timeout", value) for value in (0, -1, NAN, INFINITY)),
        *(("workload", value) for value in ("", "fast", "rate=0", "rate=-1", "rate=nan")),
        *(("workload", value) for value in ("closed,think=-1", "burst=3", "rate=1,uniform")),
    ],
)
def test_a_wrong_option_is_named(option: str, value: Any) -> None:
    with pytest.raises(InputError) as refused:
        config(**{option: value})
    message = str(refused.value)
    assert message.startswith(f"--{option.replace('_', '-')}"), message
    assert "\n" not in message
    assert "Value error" not in message


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(InputError, match=r"^--colour: unknown key$"):
        config(colour="blue")


def test_of_several_wrong_options_the_rest_is_counted() -> None:
    with pytest.raises(InputError, match=r"^--concurrency: .*\(and 1 more\)$"):
        config(concurrency=0, repeats=0)
