"""The page of a run: whole, self-contained, true to ``summary.json``, and safe."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.report.html import page
from harness.report.words import LANGS
from harness.store import Run
from harness.summary import summarise
from tests.report.build import ARMS, SCRIPT, story, trial, whole, write

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(HTMLParser):
    """Notes elements, texts and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((tuple(self.open), data.strip()))


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def at(summary: Any, pointer: str) -> Any:
    """The value at a JSON pointer."""
    for part in pointer.split("/")[1:]:
        if summary is None:
            return None
        name = part.replace("~1", "/").replace("~0", "~")
        summary = summary[int(name)] if isinstance(summary, list) else summary[name]
    return summary


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return whole(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def summary(run: Run) -> dict[str, Any]:
    return summarise(run)


@pytest.fixture(scope="module", params=LANGS)
def made(request: pytest.FixtureRequest, run: Run, summary: dict[str, Any]) -> tuple[str, str]:
    return request.param, page(run, summary, request.param)


def test_whole_and_small(made: tuple[str, str]) -> None:
    lang, text = made
    reader = read(text)
    assert ("html", {"lang": lang}) in reader.tags
    assert len(text.encode()) <= 500_000


def test_asks_nothing_of_the_network(made: tuple[str, str]) -> None:
    _, text = made
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    for tag, attributes in read(text).tags:
        assert tag not in ("script", "link", "iframe", "img", "object")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith("#")


def test_hostile_text_stays_text(made: tuple[str, str]) -> None:
    _, text = made
    assert "<script" not in text
    reader = read(text)
    assert sum(SCRIPT in found for _, found in reader.texts) > 10
    assert any("reports/a <b>" in found for _, found in reader.texts)


def test_hostile_names(tmp_path: Path) -> None:
    arms = ["sync", "<b>&\"'$x$", "모듈:파이프라인🦕" * 5]
    records = [trial(arm, i, block) for arm in arms for i in range(8) for block in (1, 2)]
    run = write(tmp_path / "run", records, arms)
    text = page(run, summarise(run), "en")
    read(text)
    assert "<b>&" not in text


def test_every_number_is_the_one_of_the_summary(
    made: tuple[str, str], summary: dict[str, Any]
) -> None:
    found = [
        (attributes["data-key"], attributes["data-value"])
        for _, attributes in read(made[1]).tags
        if "data-key" in attributes
    ]
    assert len(found) > 150
    for pointer, value in found:
        assert pointer is not None
        assert value is not None
        assert json.loads(value) == at(summary, pointer), pointer


def test_numbers_look_like_their_values(run: Run, summary: dict[str, Any]) -> None:
    text = page(run, summary, "en")
    cell = re.search(
        r'<td data-key="/pipelines/async/response_time_s/mean" data-value="([^"]+)">'
        r'<span class="value">([^<]+)</span>',
        text,
    )
    assert cell is not None
    assert float(cell[2]) == pytest.approx(1000 * float(cell[1]), abs=0.5)


def test_sections_and_figures_in_order(made: tuple[str, str]) -> None:
    ids = [a["id"] for tag, a in read(made[1]).tags if tag in ("section", "figure") and "id" in a]
    assert ids == [
        "result",
        "validity",
        "comparison",
        "figures",
        "effect",
        "pairs",
        "spread",
        "tail",
        "over-time",
        "timeline",
        "outcomes",
        "checks",
        "failures",
        "environment",
        "reproduce",
    ]


def test_figures_are_drawn_twice_with_titles_and_tables(made: tuple[str, str]) -> None:
    text = made[1]
    for figure in re.findall(r"<figure.*?</figure>", text, re.DOTALL):
        assert figure.count("<svg") == 2
        assert figure.count('role="img"') == 2
        assert "<table" in figure
        assert "<figcaption>" in figure
    used = re.findall(r'(?:url\(#|href="#)([^)"]+)', text)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(used) <= set(ids)
    assert not re.search(r"#(?:0[0-9a-f]0[0-9a-f]0[0-9a-f]|[23]000)", text), "a token was left"


def test_simulated_wherever_times_are_shown(made: tuple[str, str]) -> None:
    lang, text = made
    label = {"en": "simulated, × 0.02", "ko": "시뮬레이션, × 0.02"}[lang]
    for ident in ("comparison", "effect", "spread", "tail", "timeline"):
        part = text[text.index(f'id="{ident}"') :]
        assert label in part[: part.index("</figure>" if ident != "comparison" else "</section>")]
    assert label in text[: text.index('id="result"')]


def test_korean_headings_are_korean(run: Run, summary: dict[str, Any]) -> None:
    reader = read(page(run, summary, "ko"))
    latin = re.compile(r"[A-Za-z]{3,}")
    names = {*ARMS, "ko-tale", "untouched", "Python", "CPU", "harness"}
    for path, text in reader.texts:
        if path[-1] in ("h1", "h2", "h3", "h4", "summary", "th", "figcaption", "title", "dt", "a"):
            words = set(latin.findall(text)) - {"ms", "JSON"}
            assert not words - {w for n in names for w in latin.findall(n)}, (path[-1], text)
    for path, text in reader.texts:
        if path[-1] == "text":
            words = set(latin.findall(text))
            assert not words - {w for n in names for w in latin.findall(n)}, text


def test_no_conclusion_of_an_invalid_run(run: Run, summary: dict[str, Any]) -> None:
    broken = {**summary["validity"]["checks"][0], "ok": False, "value": 0.5}
    checks = [broken, *summary["validity"]["checks"][1:]]
    bad = {**summary, "validity": {"valid": False, "checks": checks}}
    text = page(run, bad, "en")
    result = text[text.index('id="result"') : text.index('id="validity"')]
    assert "No conclusion" in result
    assert "start delay, p99: 500 ms, limit 10 ms" in result
    assert "article" not in result


def test_a_statement_for_each_candidate(run: Run, summary: dict[str, Any]) -> None:
    good = {**summary, "validity": {"valid": True, "checks": []}}
    text = page(run, good, "en")
    result = text[text.index('id="result"') : text.index('id="validity"')]
    assert result.count("<article") == len(ARMS) - 1
    assert "less time [" in result
    assert "no difference resolved" in result
    assert result.index("<h3>async</h3>") < result.index("<h3>sync@aa</h3>")


def test_the_gallery_is_capped_and_counts(tmp_path: Path) -> None:
    records = [
        trial("sync", i % 8, i, outcome=("wrong", "malformed", "error")[i % 3]) for i in range(300)
    ]
    run = write(tmp_path / "run", records, ["sync"])
    text = page(run, summarise(run), "en")
    assert text.count('class="failure"') == 60
    assert "60 of 300 failed trials are shown" in text
    assert f"harness show {tmp_path}" in text


def test_the_gallery_shows_old_new_and_right(tmp_path: Path) -> None:
    records = [trial("sync", 0, 1, outcome="wrong"), trial("async", 0, 1)]
    run = write(tmp_path / "run", records, ["sync", "async"])
    text = page(run, summarise(run), "en")
    assert "A right answer, of async" in text
    about = run.manifest["scenarios"]["ko-tale-0"]
    about["story"] = about["reference"] = story().to_data()
    text = page(run, summarise(run), "en")
    assert "1번째 소식이 왔어요.<ins> &lt;script&gt;" in text
    assert "<dt>Reference</dt><dd>1번째 소식이 왔어요.</dd>" in text


def _tiny() -> dict[str, list[Any]]:
    return {
        "nothing": [],
        "one trial": [trial("sync")],
        "one error": [trial("sync", outcome="error")],
        "all errors": [
            trial(arm, i, block, outcome="error")
            for arm in ("sync", "async")
            for i in range(4)
            for block in (1, 2, 3)
        ],
        "only warm-up": [trial(arm, warmup=True) for arm in ("sync", "async")],
        "cancelled": [
            replace(trial("sync"), outcome="cancelled", done=None, own_done=None, checks=())
        ],
        "never sent": [
            replace(trial("sync", outcome="error"), sent=None, attempts=(), first_token=None)
        ],
        "one block": [trial(arm, i) for arm in ("sync", "async") for i in range(4)],
        "equal times": [
            trial(arm, i, block, took=0.1)
            for arm in ("sync", "async")
            for i in range(8)
            for block in range(6)
        ],
    }


@pytest.mark.parametrize("name", _tiny())
@pytest.mark.parametrize("lang", LANGS)
def test_little_or_nothing(tmp_path: Path, name: str, lang: str) -> None:
    run = write(tmp_path / "run", _tiny()[name], ["sync", "async"], planned_trials=96)
    text = page(run, summarise(run), lang)
    reader = read(text)
    for bad in ("nan", "NaN", "None", "inf"):
        assert not any(bad == found for _, found in reader.texts)
    assert 'd="nan' not in text.lower()


def test_one_arm(tmp_path: Path) -> None:
    run = write(tmp_path / "run", [trial("sync", i) for i in range(4)], ["sync"])
    text = page(run, summarise(run), "en")
    assert "One pipeline only" in text
    assert 'id="effect"' not in text


def test_a_real_model_is_not_called_simulated(tmp_path: Path) -> None:
    records = [trial("sync", i) for i in range(4)]
    run = write(tmp_path / "run", records, ["sync"], provider={"simulated": False, "model": "m"})
    text = page(run, summarise(run), "en")
    assert "imulated" not in text[text.index("</style>") :]


def test_many_arms(tmp_path: Path) -> None:
    arms = ["sync", *(f"package.module:pipeline_{i}" for i in range(9))]
    records = [trial(arm, i, block) for arm in arms for i in range(8) for block in (1, 2, 3)]
    run = write(tmp_path / "run", records, arms)
    assert len(page(run, summarise(run), "en").encode()) < 1_000_000


def test_an_unknown_language(run: Run, summary: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fr"):
        page(run, summary, "fr")
