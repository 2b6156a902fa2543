"""HTML of the demo: a way with its clock, a story with its differences, checks, problems.

All text goes through ``markup``, which escapes it: stories, answers and what the service says are
other people's words.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from harness.demo.client import Problem
from harness.demo.results import Result, results
from harness.demo.ways import Progress, Way
from harness.demo.words import Words
from harness.records import CheckResult
from harness.report.differences import changes, marked
from harness.report.markup import Html, join, tag
from harness.report.words import Words as ReportWords
from harness.report.words import language
from harness.story import Place, Stock, Story, Turn, values

TAIL_CHARS = 240
Mark: TypeAlias = Callable[[str | int, str, int], Html]

# --- a way with its clock ---


def way_card(way: Way, progress: Progress | None, edits: int, longest: float, words: Words) -> Html:
    """A way: what it is, its clock, and what comes while it is under way. ``longest``: the
    seconds that fill the bar; ``edits``: how many it sends.
    """
    elapsed = None if progress is None else progress.elapsed
    state = "idle" if progress is None else progress.state
    clock: tuple[object, ...] = (tag("b", "—"),)
    if elapsed is not None:
        clock = (tag("b", f"{elapsed:.2f}"), tag("span", words("run.seconds")))
    parts: list[object] = [
        tag("h3", words(f"way.{way}")),
        tag("p", words(f"about.{way}", n=edits), class_="about"),
        tag("p", *clock, class_="clock"),
        _bar(progress, longest),
        tag("p", *_state(progress, words), class_="state", role="status"),
        tag("div", _live(progress, words), class_="live"),
    ]
    name = words(f"way.{way}")
    return tag("article", *parts, class_=f"way {state}", aria_label=name, lang=words.lang)


def _bar(progress: Progress | None, longest: float) -> Html:
    """Elapsed time as a length; the part before the first text is lighter."""
    elapsed = (progress.elapsed if progress else None) or 0.0
    first = min((progress.ttft if progress else None) or 0.0, elapsed)
    widths = (first, elapsed - first)
    spans = (
        tag("i", class_=name, style=f"width:{100 * seconds / longest:.2f}%")
        for name, seconds in zip(("before", "after"), widths, strict=True)
        if longest > 0 and seconds > 0
    )
    return tag("div", *spans, class_="bar", aria_hidden="true")


def _state(progress: Progress | None, words: Words) -> Iterable[object]:
    if progress is None:
        return [words("run.idle")]
    parts = [words(f"state.{progress.state}")]
    if progress.ttft is not None:
        parts.append(words("run.ttft", s=f"{progress.ttft:.2f}"))
    elif progress.over:
        parts.append(words("run.no_ttft"))
    return [" · ".join(parts)]


def _live(progress: Progress | None, words: Words) -> Html | None:
    if progress is None:
        return None
    if not progress.over:
        return _arriving(progress, words)
    found = results(progress)
    if len(found) == 1:
        result = found[0]
        return problem_html(result.problem, words) if result.problem else verdict(result, words)
    return tag("ol", *(tag("li", _short(result, words)) for result in found), class_="items")


def _short(result: Result, words: Words) -> Html:
    if result.problem is None:
        return verdict(result, words)
    said = words.known(f"problem.{result.problem.type}", words("problem.other"))
    return tag("span", said, class_="verdict bad")


def _arriving(progress: Progress, words: Words) -> Html | None:
    """The end of the text so far, and how many turns have begun."""
    if not progress.text:
        return None
    turns = len(progress.edits[0].story.turns)
    begun = min(progress.text.count('"turn_number"'), turns)
    tail = " ".join(progress.text[-TAIL_CHARS:].split())
    return join(
        [
            tag("p", words("run.turns", n=begun, all=turns), class_="small"),
            tag("pre", tail, class_="tail"),
        ]
    )


# --- what came back ---


def result_html(result: Result, words: Words) -> Html:
    """A result to read: the request, the verdict, the story with what has changed."""
    asked = result.asked
    parts: list[object] = [
        fact(words("result.request"), tag("span", asked.request, lang=asked.language))
    ]
    if result.problem is not None:
        parts += [tag("p", words("result.no_story")), problem_html(result.problem, words)]
    if result.story is not None:
        parts += [
            fact(words("result.summary"), tag("span", result.summary)) if result.summary else None,
            fact(words("checks.heading"), verdict(result, words)),
            checks_html(result.checks, words),
            story_html(asked.story, result.story, words, asked.language),
        ]
    return tag("section", *parts, class_="result", lang=words.lang)


def verdict(result: Result, words: Words) -> Html:
    """Whether the checks hold, in words."""
    if not result.checks:
        return tag("span", words("checks.unjudged"), class_="verdict")
    failed, all_ = result.failed_checks, len(result.checks)
    if failed:
        said = words("checks.some_fail", k=failed, n=all_)
        return tag("span", f"▼ {said}", class_="verdict bad")
    return tag("span", f"▲ {words('checks.all_hold', n=all_)}", class_="verdict good")


def checks_html(checks: Sequence[CheckResult], words: Words) -> Html | None:
    """Every check, the failed ones with turn, field and reason."""
    if not checks:
        return None
    rows = []
    for check in sorted(checks, key=lambda check: check.ok):
        place = None
        if not check.ok and check.turn is not None:
            place = tag("span", words("checks.at", n=check.turn, field=check.field))
        why = None if check.ok or not check.why else reason(check.why, words)
        mark = words("checks.holds" if check.ok else "checks.fails")
        rows.append(
            tag(
                "li",
                tag("b", ("✓ " if check.ok else "✗ ") + mark),
                join([tag("code", check.id), place, why], " "),
                class_="ok" if check.ok else "bad",
            )
        )
    return tag("ul", *rows, class_="checks")


def reason(english: str, words: Words) -> Html:
    """What a check or a reader of replies says is wrong, in the language of the page if it can be
    said there.
    """
    said = ReportWords(language(words.lang)).translated(english, "why")
    return tag("span", said, lang="en" if said == english else words.lang)


def problem_html(problem: Problem, words: Words) -> Html:
    """Why there is no story: in our words, then in the service's."""
    said = words.known(f"problem.{problem.type}", words("problem.other"))
    detail = tag("p", reason(problem.detail, words), class_="small")
    return tag("div", tag("p", said, class_="verdict bad"), detail, class_="problem")


def notice(text: str, words: Words, *, bad: bool = False) -> Html:
    """A line that says something about what was typed in."""
    return tag("p", text, class_="notice bad" if bad else "notice", lang=words.lang, role="status")


# --- a story ---


def story_html(before: Story | None, after: Story, words: Words, language: str) -> Html:
    """A story to read. Turns that differ from ``before`` are open, with the differences marked;
    before None: nothing is compared, and every turn is open.
    """
    new = values(after)
    old = new if before is None else values(before)
    parts: list[object] = []
    if before is not None:
        parts.append(_legend(before, after, words))
    gone = () if before is None else before.turns[len(after.turns) :]
    parts += [_turn(turn, old, new, before is None, words, language) for turn in after.turns]
    parts += [notice(words("result.turn_gone", n=t.turn_number), words, bad=True) for t in gone]
    return tag("div", *parts, class_="story")


def _legend(before: Story, after: Story, words: Words) -> Html:
    count = changes(before, after)
    if not count:
        return tag("p", words("result.same_story"), class_="notice")
    marks = join([tag("del", words("result.gone")), tag("ins", words("result.come"))], " ")
    said = join([_count(count, words), " · ", words("result.legend"), " ", marks])
    return tag("p", said, class_="small")


def _count(count: int, words: Words) -> str:
    if not count:
        return words("result.unchanged")
    return words("result.changed_one") if count == 1 else words("result.changed", n=count)


def _turn(
    turn: Turn,
    old: Mapping[Place, str | int],
    new: Mapping[Place, str | int],
    everything: bool,
    words: Words,
    language: str,
) -> Html:
    number = turn.turn_number
    changed = sum(old.get(p) != value for p, value in new.items() if p[0] == number)
    title = [tag("b", words("result.turn", n=number))]
    if not everything:
        title.append(tag("span", _count(changed, words), class_="small"))

    def mark(value: str | int, name: str, stock: int | None = None) -> Html:
        return marked(old.get((number, stock, name)), value)

    tag_text = words("result.all_stocks") if turn.news_tag == "all" else turn.news_tag
    same_tag = old.get((number, None, "news_tag")) == turn.news_tag
    badge = tag_text if same_tag else mark(turn.news_tag, "news_tag")
    body = [
        tag("p", mark(turn.result, "result"), class_="happens"),
        tag(
            "p",
            tag("span", words("result.news"), class_="label", lang=words.lang),
            tag("span", badge, class_="badge"),
            " ",
            mark(turn.news, "news"),
            class_="news",
        ),
        tag("ul", *(_stock(stock, i, mark) for i, stock in enumerate(turn.stocks))),
    ]
    shown = everything or changed > 0
    return tag(
        "details",
        tag("summary", join(title, " ")),
        tag("div", *body, lang=language),
        class_="turn",
        open=shown,
    )


def _stock(stock: Stock, position: int, mark: Mark) -> Html:
    field = {name: mark(getattr(stock, name), name, position) for name in Stock.__slots__}
    prices = join([field["before_value"], " → ", field["current_value"]])
    return tag(
        "li",
        tag("p", tag("b", field["name"]), tag("span", prices, class_="price")),
        tag("p", field["risk_level"], " · ", field["description"], " ", field["expectation"]),
    )


def fact(name: str, value: object) -> Html:
    """A value with its name."""
    return tag("p", tag("span", name, class_="label"), value, class_="fact")
