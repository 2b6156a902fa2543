"""Every kind of page: whole, asking nothing of the network, true to its figures, and Korean."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from harness.checks import ALWAYS, AnyCheck
from harness.report.facts import again, broken_text
from harness.report.opening import validity
from harness.report.publish import publish, summary_of
from harness.report.quoting import failure
from harness.report.words import LANGS, Lang, Words
from tests.report.pages import PAGES, ROUTES, load_run, locust_run
from tests.report.test_html import at, read

# Names of metrics, pipelines, fields and programs, which are no language.
NAMES = {
    *(
        "harness",
        "sync",
        "async",
        "batched",
        "streaming",
        "load",
        *("edit", "scenario", "stream", "jobs", "sce", "nario", "tream"),
        "sim",
        "report",
        "aa",
        "ko",
        "tale",
    ),
    *("JSON", "CPU", "HTTP", "Python", "ms", "MB", "GB", "UTC", "json", "untouched", "news"),
    *("structure", "jsonl", "records", "sha", "pytest", "script", "alert", "provider", "scenarios"),
    *("run", "show", "out", "rate", "users", "ulimit", "max", "flight", "concurrency", "resume"),
}
LATIN = re.compile(r"[A-Za-z]{3,}")
TRIAL = re.compile(r"\S+/\S+/\d+")
SKIPPED = {"code", "style", "pre", "dd", "h1"}  # commands, settings, what a model wrote, names


@pytest.fixture(scope="module", params=PAGES)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("lang", LANGS)
def test_whole_and_asks_nothing_of_the_network(tmp_path: Path, kind: str, lang: str) -> None:
    text = PAGES[kind](tmp_path, lang)
    reader = read(text)
    assert ("html", {"lang": lang}) in reader.tags
    assert len(text.encode()) < 500_000
    for tag, attributes in reader.tags:
        assert tag not in ("script", "link", "iframe", "object", "img")
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png"))


def test_a_korean_page_has_no_english_but_names(tmp_path: Path, kind: str) -> None:
    # A request, a reply and a command are what they are; all else is in the reader's language.
    for path, text in read(PAGES[kind](tmp_path, "ko")).texts:
        if SKIPPED & set(path) or "<script" in text:
            continue
        said = TRIAL.sub("", text).replace("simulated report-2025", "")
        words = set(LATIN.findall(said)) - NAMES
        assert not words, (path[-1], text)


@pytest.mark.parametrize(
    "why",
    [
        "was not to change: '빵' became '떡'",
        "has 3 turns, expected 2 (and 1 more)",
        "is 90, expected 95 (it was 100)",
        "is no longer Korean",
        "the reply ends after 259 characters, inside an array",
        "keeps 3 of its 9 words, at least 60% must stay",
    ],
)
def test_reasons_of_checks_and_replies_are_translated(why: str) -> None:
    said = Words("ko").translated(why, "why")
    assert not LATIN.search(said)
    assert any("가" <= char <= "힣" for char in said.replace("빵", "").replace("떡", ""))


@pytest.mark.parametrize(
    ("why", "korean"),
    [
        ("turn 2: field 'news' is missing", "2턴: 없는 필드 'news'"),
        ("turn 1 stocks[0]: name is blank", "1턴 stocks[0]: name이 비어 있음"),
        (
            "reply: Expecting ',' delimiter after 12 characters, near '[{]'",
            "응답: 12자 뒤에서 ','가 있어야 함, 근처: '[{]'",
        ),
        ("reply: an object repeats a key", "응답: 한 객체에 같은 키가 두 번 나옴"),
        (
            "the model's answer holds no valid story: the reply is empty",
            "모델의 응답에 올바른 이야기가 없음: 응답이 비어 있음",
        ),
    ],
)
def test_what_is_wrong_with_a_reply_is_said_in_korean(why: str, korean: str) -> None:
    assert Words("ko").translated(why, "why") == korean


@pytest.mark.parametrize(
    ("message", "english", "korean"),
    [
        ("no answer in 120 s", "no answer in 120 s", "120초 안에 응답 없음"),
        (
            "HTTP 503: model <x> is loading",
            'HTTP 503: <q lang="en">model &lt;x&gt; is loading</q>',
            'HTTP 503 응답: <q lang="en">model &lt;x&gt; is loading</q>',
        ),
        (
            "HTTP 500: 고장",
            'HTTP 500: <q lang="ko">고장</q>',
            'HTTP 500 응답: <q lang="ko">고장</q>',
        ),
        ("HTTP 500", "HTTP 500", "HTTP 500 응답"),
        (
            "not a chat completion: KeyError('choices')",
            'not a chat completion: <q lang="en">KeyError(&#x27;choices&#x27;)</q>',
            '채팅 응답의 형식이 아님: <q lang="en">KeyError(&#x27;choices&#x27;)</q>',
        ),
        (
            "Cannot connect to host 127.0.0.1:9 ssl:default [Connect call failed]",
            'Cannot connect to host 127.0.0.1:9 ssl:default [<q lang="en">Connect call failed</q>]',
            '127.0.0.1:9 ssl:default에 연결할 수 없음: <q lang="en">Connect call failed</q>',
        ),
        ("ValueError: odd", '<q lang="en">ValueError: odd</q>', '<q lang="en">ValueError: odd</q>'),
        ("", "—", "—"),
    ],
)
def test_our_words_for_an_error_are_translated_and_those_of_others_quoted(
    message: str, english: str, korean: str
) -> None:
    assert failure(message, Words("en")) == english
    assert failure(message, Words("ko")) == korean


@pytest.mark.parametrize("lang", LANGS)
def test_the_warm_up_stands_in_the_strip(tmp_path: Path, lang: str) -> None:
    text = PAGES["run"](tmp_path, lang)
    strip = text[text.index('class="strip"') : text.index('id="comparison"')]
    words = Words("ko" if lang == "ko" else "en")
    assert 'data-key="/run/warmup_trials" data-value="40"' in strip
    assert words("validity.warmup_out") in strip
    header = text[text.index("<header") : text.index("</header")]
    assert words("validity.warmup") not in header


def test_every_number_of_a_load_is_the_one_of_the_summary(tmp_path: Path) -> None:
    load_run(tmp_path / "run")
    publish(tmp_path / "run", "en")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))
    text = (tmp_path / "run" / "index.html").read_text("utf-8")
    found = [
        (attributes["data-key"], attributes["data-value"])
        for _, attributes in read(text).tags
        if "data-key" in attributes
    ]
    assert sum((key or "").startswith("/load/") for key, _ in found) > 40
    for key, value in found:
        assert json.loads(value or "") == at(summary, key or ""), key


def test_routes_that_were_used_at_once_are_not_compared(tmp_path: Path) -> None:
    locust_run(tmp_path / "run")
    summary = publish(tmp_path / "run", "en")
    text = (tmp_path / "run" / "index.html").read_text("utf-8")
    assert summary["comparisons"] == []
    assert f"{len(ROUTES)} routes, asked at the same time" in text
    for part in (
        'id="effect"',
        'id="pairs"',
        'id="timeline"',
        "take turns",
        "Makespan",
        "blocks 0",
    ):
        assert part not in text
    table = text[text.index('class="routes"') : text.index("More figures")]
    for route in ROUTES:
        for figure in ("response_time_s/n", "response_time_s/p50", "response_time_s/p95"):
            assert f'data-key="/pipelines/{route}/{figure}"' in table
        assert f'data-key="/pipelines/{route}/success/rate"' in table
    found = [a for _, a in read(text).tags if "data-key" in a]
    assert all(json.loads(a["data-value"] or "") == at(summary, a["data-key"] or "") for a in found)


@pytest.mark.parametrize(
    ("lang", "remedy"),
    [
        ("en", "the run was interrupted: run it again"),
        ("ko", "실행이 중단되었습니다. 다시 실행하세요"),
    ],
)
def test_an_interrupted_run_of_locust_has_no_conclusion(
    tmp_path: Path, lang: str, remedy: str
) -> None:
    locust_run(tmp_path / "run", status="interrupted")
    publish(tmp_path / "run", lang)
    text = (tmp_path / "run" / "index.html").read_text("utf-8")
    words = Words("ko" if lang == "ko" else "en")
    assert words("sentence.no_conclusion") in text
    assert remedy in text


@pytest.mark.parametrize(
    ("command", "again_with"),
    [
        (
            "locust -u 5 --harness-out reports/a/ Async",
            "locust -u 5 --harness-out reports/a-again Async",
        ),
        ("locust --harness-out=a", "locust --harness-out=a-again"),
        ("harness run --out a --resume --seed 1", "harness run --seed 1"),
        ("harness run --out=a --seed 1", "harness run --seed 1"),
    ],
)
def test_the_command_that_makes_it_again_has_a_folder_of_its_own(
    command: str, again_with: str
) -> None:
    assert again({"run": {"command": command}}) == again_with


def test_a_load_has_the_checks_of_its_own_client(tmp_path: Path) -> None:
    load_run(tmp_path / "run")
    _, summary = summary_of(tmp_path / "run")
    names = {check["name"] for check in summary["validity"]["checks"]}
    assert {"issue_delay_p99", "achieved_share"} <= names


@pytest.mark.parametrize(
    ("ended", "lang", "said"),
    [
        (True, "en", "end of the run: as planned"),
        (True, "ko", "실행의 끝: 계획대로"),
        (False, "en", "end of the run: interrupted"),
        (False, "ko", "실행의 끝: 중단됨"),
    ],
)
def test_the_end_of_a_load_is_said_in_words(ended: bool, lang: Lang, said: str) -> None:
    check = {"name": "complete", "ok": ended, "value": float(ended), "limit": 1.0, "unit": "run"}
    assert broken_text(check, Words(lang)) == said
    strip = str(validity(strip_of(check), Words(lang)))
    assert f">{said.partition(': ')[2]}</b>" in strip
    assert strip.count('class="limit"') == 2  # those of the warm-up and of the client


@pytest.mark.parametrize("name", ["achieved_share", "carried_share"])
def test_the_load_is_to_be_at_least_its_limit(name: str) -> None:
    check = {"name": name, "ok": True, "value": 1.0, "limit": 0.99, "unit": "of the rate"}
    assert "at least 99\N{NO-BREAK SPACE}% of the rate" in validity(strip_of(check), Words("en"))


def strip_of(check: dict[str, Any]) -> dict[str, Any]:
    """A summary that holds what the strip shows."""
    return {
        "run": {"warmup_trials": 0},
        "client_error_s": None,
        "validity": {"checks": [{"remedy": "", **check}]},
    }


def test_every_kind_of_check_has_a_name_in_words() -> None:
    checks = [*ALWAYS, *get_args(get_args(AnyCheck)[0])]
    kinds = [get_args(check.model_fields["kind"].annotation)[0] for check in checks]
    assert len({Words("ko")(f"kind.{kind}") for kind in kinds}) == len(checks) > 10


def test_texts_of_numbers_are_their_values(tmp_path: Path) -> None:
    """What a reader sees in a table is the value beside it, to the last digit shown."""
    text = PAGES["run"](tmp_path, "en")
    cells = re.findall(
        r'<td data-key="([^"]+)" data-value="([^"]+)"><span class="value">([^<]+)</span>', text
    )
    assert len(cells) > 100
    for key, value, shown in cells:
        number = re.fullmatch(r"(?:~ )?([+−]?)([\d.,]+)", shown)
        if number is None:  # k of n
            assert shown.startswith(f"{int(value)}/"), key
            continue
        seen = float(number[2].replace(",", ""))
        digits = len(number[2].partition(".")[2])
        candidates = [abs(float(value)) * factor for factor in (1, 100, 1000)]
        assert any(abs(seen - c) <= 0.501 * 10**-digits for c in candidates), (key, value, shown)
