"""A load run says each of its figures once: one number, one interval, on every page and screen."""

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.demo.recorded import rows
from harness.report.figures.tail import tail_curve
from harness.report.html import page
from harness.report.layout import Style
from harness.report.load import load_lines
from harness.report.markdown import run_markdown
from harness.report.publish import summary_of
from harness.report.terminal import lines
from harness.report.words import LANGS, Lang, Words
from harness.stats import serial
from harness.summary import unbounded
from harness.validity import LOAD
from tests.report.build import whole
from tests.report.pages import load_run

AT_THE_END = ("figures", "failures", "environment", "reproduce")
ALIKE = "effective n = 42 < 72"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A load of 348 requests: enough for p95, too few for p99."""
    load_run(tmp_path / "load")
    return tmp_path / "load"


def alike(folder: Path) -> None:
    """Make the requests so much alike that p95 has no interval, as in a long queue."""
    load = json.loads((folder / LOAD).read_text("utf-8"))
    load["response_time_s"]["ci95"]["p95"] = None
    load["response_time_s"]["effective_n"]["p95"] = 42
    (folder / LOAD).write_text(json.dumps(load), "utf-8")


def test_what_both_know_is_the_loads_own(folder: Path) -> None:
    _, summary = summary_of(folder)
    load, arm = summary["load"], summary["pipelines"]["load"]
    for name in ("response_time_s", "service_time_s", "ttft_s"):
        for point in ("n", "p50", "p95", "p99", "max"):
            assert arm[name][point] == load[name][point]
        assert arm[name]["ci95"] == {"mean": None, **load[name]["ci95"]}
        assert arm[name]["warnings"] == {"mean": "n = 1 < 2", "p99": "n = 348 < 368"}
    assert arm["success"]["ci95"] == load["success"]["ci95"]
    assert arm["throughput_per_s"]["mean"] == load["throughput_per_s"]
    assert summary["validity"]["checks"] == load["validity"]["checks"]


def test_a_quantile_stands_where_its_n_supports_it() -> None:
    bounds: dict[str, Any] = {"p50": [1, 2], "p95": None, "p99": None}
    counts = {"p50": 300, "p95": 42, "p99": 40}
    few = "n = 348 < 368"
    assert unbounded("ttft_s", {"n": 348, "ci95": bounds, "effective_n": counts}) == {
        "p95": ALIKE,
        "p99": few,
    }
    older = unbounded("ttft_s", {"n": 348, "ci95": bounds})
    assert older == {"p95": "effective n < 72", "p99": few}
    assert Words("ko").reason(older["p95"]) == "유효 n < 72"
    assert unbounded("itl_s", {"n": 348}) == {"p99": few}
    assert set(unbounded("itl_s", {"n": 5})) == {"p50", "p95", "p99"}
    assert unbounded("ttft_s", {"n": 368, "ci95": {name: [1, 2] for name in bounds}}) == {}
    assert unbounded("issue_delay_s", {"n": 5}) == {}, "all the delays there were, no sample"


@pytest.mark.parametrize("lang", LANGS)
def test_no_page_and_no_screen_shows_an_unsupported_quantile(folder: Path, lang: Lang) -> None:
    alike(folder)
    run, summary = summary_of(folder)
    words = Words(lang)
    p95 = f"{1000 * summary['load']['response_time_s']['p95']:.1f}"[:4]
    p99 = f"{1000 * summary['load']['response_time_s']['p99']:.1f}"[:4]
    table = page(run, summary, lang)
    table = table[: table.index('id="figures"')]
    shown = [
        html.unescape(re.sub(r"<[^>]+>", " ", table)),
        html.unescape(run_markdown(summary, folder, words)),
        "\n".join(load_lines(summary["load"], folder, "harness load", 100)),
        str(rows(summary, words)),
    ]
    for text in shown:
        assert p95 not in text
        assert p99 not in text
    for text in (shown[0], shown[1], shown[3]):
        assert words.reason(ALIKE) in text
    assert ALIKE in shown[2]
    if lang == "ko":
        assert "effective" not in words.reason(ALIKE)


def test_the_tail_of_a_load_allows_for_queues() -> None:
    """Requests of a series that moves slowly: they tell less than as many independent ones."""
    rng = np.random.default_rng(5)
    walk = np.zeros(2_000)
    for i, step in enumerate(rng.normal(size=walk.size)):
        walk[i] = 0.9 * walk[i - 1] + step
    times = np.exp(0.2 * walk)
    plain, known = tail_curve(times), tail_curve(times, serial.quantile)
    assert plain is not None
    assert known is not None
    np.testing.assert_array_equal(plain.values, known.values)
    assert known.hi[0] - known.lo[0] > 1.5 * (plain.hi[0] - plain.lo[0])


@pytest.mark.parametrize("lang", LANGS)
def test_a_load_compares_nothing_and_stands_in_the_contents(folder: Path, lang: Lang) -> None:
    text = page(*summary_of(folder), lang)
    words = Words(lang)
    assert contents(text) == [
        ("#result", words("heading.conclusion")),
        ("#validity", words("heading.validity")),
        ("#load", words("heading.load")),
        ("#answers", words("heading.answers")),
        *((f"#{name}", words(f"heading.{name}")) for name in AT_THE_END),
    ]
    answers = text[text.index('id="answers"') : text.index('id="figures"')]
    assert words("label.baseline") not in answers
    assert "response_time_s" not in answers, "the load's own section has the times"
    assert words("group.success") in answers


@pytest.mark.parametrize(
    ("lang", "says"), [("en", "200 requests came to an end"), ("ko", "끝난 요청은 200건")]
)
def test_a_load_is_drawn_by_its_requests(folder: Path, lang: Lang, says: str) -> None:
    text = page(*summary_of(folder), lang)
    figure = text[text.index('id="timeline"') : text.index('id="outcomes"')]
    assert says in figure
    assert Words(lang)("heading.timeline_load") in figure
    assert not re.search("block|scenario|블록|시나리오", re.sub(r"<(svg|details).*", "", figure))


@pytest.mark.parametrize("lang", LANGS)
def test_a_run_of_one_pipeline_compares_nothing(tmp_path: Path, lang: Lang) -> None:
    whole(tmp_path / "run", arms=("async",))
    _, summary = summary_of(tmp_path / "run")
    words = Words(lang)
    text = page(*summary_of(tmp_path / "run"), lang)
    assert ("#measured", words("heading.measured")) in contents(text)
    assert 'id="comparison"' not in text
    printed = "\n".join(lines(summary, tmp_path, words, 100, Style(False, marks=True)))
    for said in (text, printed, run_markdown(summary, tmp_path, words)):
        assert not re.search(rf"(· |\(){words('label.baseline')}\b", said)
        assert words("terminal.changes", baseline="async") not in said
        assert words("table.change_mark", baseline="async") not in said


def contents(text: str) -> list[tuple[str, str]]:
    """Where the links at the top lead, and what they say; each leads somewhere."""
    found = re.findall(r'<a href="([^"]+)">([^<]+)</a>', text[: text.index("</nav>")])
    assert all(f'id="{place.removeprefix("#")}"' in text for place, _ in found)
    return found
