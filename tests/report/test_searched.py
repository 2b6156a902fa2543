"""What is said of a search for capacity, in the terminal and on its page."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.load.capacity import Capacity, Limit
from harness.report.capacity import capacity_page
from harness.report.layout import width
from harness.report.load import capacity_lines, load_lines
from harness.report.publish import publish
from harness.report.searched import CAPACITY, Step, outcome, quantile, success, why
from harness.report.words import LANGS, Lang, Words
from tests.report.golden import DATA, same_as_golden

COMMAND = "harness load http://127.0.0.1:8013/v1 --find-capacity --slo 'p95<0.5s' --rate 20"
FOLDER = Path("reports/search")


@pytest.fixture
def found() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((DATA / CAPACITY).read_text("utf-8"))
    return figures


@pytest.mark.parametrize("columns", [80, 60])
def test_a_search_in_the_terminal(found: dict[str, Any], columns: int) -> None:
    text = "\n".join(capacity_lines(found, FOLDER, columns)) + "\n"
    same_as_golden(text, f"capacity-{columns}.txt")
    shown = [line for line in text.splitlines() if not line.startswith("Run again:")]
    assert max(map(width, shown)) <= columns


def test_a_load_in_a_narrow_terminal() -> None:
    load = json.loads((DATA / "load.json").read_text("utf-8"))
    text = "\n".join(load_lines(load, FOLDER, f"{COMMAND} --out {FOLDER}", 60)) + "\n"
    same_as_golden(text, "load-60.txt")
    assert max(map(width, text.splitlines()[:-2])) <= 60
    assert f"Run again: {COMMAND}\n" in text


@pytest.mark.parametrize("lang", LANGS)
def test_the_page_says_what_a_page_must(found: dict[str, Any], tmp_path: Path, lang: Lang) -> None:
    (tmp_path / CAPACITY).write_bytes((DATA / CAPACITY).read_bytes())
    words = Words(lang)
    text = html.unescape(re.sub(r"<[^>]+>", " ", capacity_page(found, tmp_path, lang)))
    text = re.sub(r"\s+", " ", text)
    for said in (COMMAND, words("reproduce.seed"), "sha256", "2026-11-27 19:05 UTC", "Linux"):
        assert said in text
    assert words("label.simulated_scaled", scale="0.02") in text
    assert words("heading.data") in text
    for step in found["steps"]:
        assert f"{step['requests']:,}" in text
        assert (success(step, words).interval or "?") in text
        assert why(step, words) in text
        cell = quantile(step, "p95", 1000, words)
        assert (cell.reason or cell.interval or "?") in text
        if cell.text is None:
            assert "effective" not in (cell.reason or "") or lang == "en"
            assert f" {1000 * step['p95']:.0f} " not in text


def test_a_step_without_an_answer_has_a_reason_for_every_dash() -> None:
    words = Words("en")
    step: Step = {"p95": None, "p95_ci": None, "unbounded": {}, "success": None, "success_ci": None}
    assert quantile(step, "p95", 1, words).reason == "no answers"
    assert success(step, words).reason == "no trials"


@pytest.mark.parametrize(
    ("rate", "above", "limit", "confirmed", "says"),
    [
        (10, 20, "server", True, ("10 per second hold the targets", "초당 10건까지 95 %")),
        (
            10,
            20,
            "server",
            False,
            ("10 per second held once so far", "초당 10건에서 지금까지 한 번"),
        ),
        (10, 20, "client", True, ("at 20 this client is the limit", "20건에서는 클라이언트가")),
        (10, None, "schedule", True, ("At least 10 per second", "적어도 초당 10건")),
        (None, 20, "nothing holds", False, ("do not hold even at 20", "20건에서도 목표를")),
        (None, 20, "undecided", False, ("not certain that the targets hold", "확실하지 않으니")),
        (None, 20, "client", False, ("was not fit to measure", "측정하기에 알맞지 않았")),
    ],
)
def test_what_was_found_in_one_sentence(
    rate: float | None, above: float | None, limit: Limit, confirmed: bool, says: tuple[str, str]
) -> None:
    capacity = Capacity(rate, above, limit, confirmed)
    found = {name: getattr(capacity, name) for name in ("rate", "above", "limit", "confirmed")}
    for lang, said in zip(LANGS, says, strict=True):
        assert said in outcome(found, Words(lang))


def test_why_a_step_does_not_hold_is_said_in_korean(found: dict[str, Any]) -> None:
    words = Words("ko")
    for reasons in (
        *(step["reasons"] for step in found["steps"]),
        [
            "the load ended before its queue settled "
            "(Little's law is off by more than 10 %): raise --duration",
            "sockets ran short: raise the limit with ulimit -n",
        ],
    ):
        said = re.sub(r"p95|--\w+|ulimit -n|[<=>.\d]+s", "", why({"reasons": reasons}, words))
        assert not re.search("[A-Za-z]{2}", said)


def test_a_search_of_an_earlier_version_is_one_clear_line(
    found: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / CAPACITY).write_text(json.dumps({"steps": found["steps"]}))
    with pytest.raises(InputError, match="an earlier version made it"):
        publish(tmp_path, "en")
