"""The page of what was recorded: a run with its figures, report and trials; verdicts; a search."""

import shlex
from pathlib import Path

import streamlit as st

from harness.demo import recorded
from harness.demo.cards import checks_html, fact, notice, story_html
from harness.demo.options import Options
from harness.demo.recorded import COMPARISON, Recorded
from harness.demo.words import Words
from harness.errors import InputError
from harness.records import OUTCOMES, TrialRecord
from harness.report import loading
from harness.report.facts import minute
from harness.report.markup import Html, join, tag
from harness.report.quoting import failure
from harness.report.words import Words as ReportWords
from harness.report.words import language

COLUMNS = ("arm", "right", "p50", "p95", "ttft", "throughput")
REPORT_HEIGHT = 900
MOST_TRIALS = 1_000  # to choose from
ALL = ""


def show(options: Options, words: Words) -> None:
    """Draw the page."""
    found = recorded.find(options.runs)
    if not found:
        command = "harness run --time-scale 0.02"
        st.html(notice(words("runs.none", folder=options.runs, command=command), words))
        return
    folder = st.selectbox(
        words("runs.which"),
        found,
        format_func=lambda path: _title(path, options.runs, words),
        key="run",
    )
    if recorded.size(folder) > recorded.MOST_BYTES:
        mb = f"{recorded.size(folder) / 1e6:,.0f}"
        said = words("runs.too_large", mb=mb, command=f"harness show {shlex.quote(str(folder))}")
        st.html(notice(said, words))
        return
    try:
        _holding(folder, words)
    except InputError as error:
        st.html(notice(words("runs.broken"), words, bad=True))
        st.html(tag("p", error, class_="small", lang="en"))


def _title(folder: Path, runs: Path, words: Words) -> str:
    """Where it lies and, unless it is a run as most are, what it is."""
    name = folder.name if folder == runs else str(folder.relative_to(runs))
    kind = recorded.kind_of(folder)
    return name if kind in (None, "run") else f"{name} · {words(f'kind.{kind}')}"


def _holding(folder: Path, words: Words) -> None:
    """What a folder holds: a run to explore, or verdicts or a search, whose page says it all.

    Raises InputError.
    """
    stamp, kind = recorded.stamp(folder), recorded.kind_of(folder)
    if kind in ("claims", "capacity"):
        if kind == "claims":
            st.html(_verdicts(folder, words))
        _frame(_report(folder, stamp, words.lang), f"{folder.name}.html", words)
        return
    with st.spinner(words("runs.reading")):
        run = _read(folder, stamp)
    st.html(_facts(run, words))
    if "load" in run.summary:
        said = join(loading.statement(run.summary, ReportWords(language(words.lang))))
        st.html(tag("section", said, class_="load", lang=words.lang))
    st.html(_table(run.summary, words))
    _reports(folder, stamp, words)
    _trials(run, words)


# Once for each state of the folder.
@st.cache_resource(max_entries=4, show_spinner=False)
def _read(folder: Path, stamp: int) -> Recorded:
    return recorded.read(folder)


@st.cache_resource(max_entries=4, show_spinner=False)
def _report(folder: Path, stamp: int, lang: str) -> str:
    return recorded.report(folder, lang)


def _verdicts(folder: Path, words: Words) -> Html:
    said = ReportWords(language(words.lang))
    found = recorded.verdicts(folder)
    lines = (fact(claim, tag("b", said(f"verdict.{verdict}"))) for claim, verdict in found)
    return tag("section", *lines, class_="result", lang=words.lang)


def _facts(run: Recorded, words: Words) -> Html:
    manifest = run.run.manifest
    provider = manifest["provider"] or {}
    scale = provider.get("time_scale")
    if not provider.get("simulated"):
        # A server that does not say whether its model is simulated.
        model = words("runs.real") if provider.get("simulated") is False else None
    elif scale in (None, 1):
        model = words("page.simulated")
    else:
        model = words("page.simulated_scaled", scale=f"{scale:g}")
    segments = manifest["segments"]
    started = minute(segments[0]["started"]) if segments else None
    return tag(
        "p",
        tag("span", model, class_="badge") if model else None,
        f" {provider.get('model') or manifest['config'].get('provider', '')}",
        f" · {words('runs.started', time=started)}" if started else None,
        class_="facts",
        lang=words.lang,
    )


def _table(summary: recorded.Summary, words: Words) -> Html:
    head = tag("tr", *(tag("th", words(f"runs.{name}"), scope="col") for name in COLUMNS))
    lines = []
    for row in recorded.rows(summary, ReportWords(language(words.lang))):
        cells = [
            join([value, tag("span", interval) if interval else None]) for value, interval in row
        ]
        first, *rest = cells
        lines.append(tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest)))
    table = tag("table", tag("thead", head), tag("tbody", *lines), class_="arms", lang=words.lang)
    broken = [check for check in summary["validity"]["checks"] if not check["ok"]]
    invalid = notice(words("runs.invalid", n=len(broken)), words, bad=True) if broken else None
    name = words("runs.figures")
    return join(
        [
            invalid,
            tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=name),
            tag("p", words("runs.note"), class_="small", lang=words.lang),
        ]
    )


def _reports(folder: Path, stamp: int, words: Words) -> None:
    """The run's report and, if there is one, its comparison with others; drawn when wanted."""
    if st.toggle(words("runs.report"), key="report"):
        with st.spinner(words("runs.reading")):
            page = _report(folder, stamp, words.lang)
        _frame(page, f"{folder.name}.html", words)
    path = folder / COMPARISON
    if path.exists() and st.toggle(words("runs.comparison"), key="comparison"):
        _frame(recorded.written(path), f"{folder.name}-{COMPARISON}", words)


def _frame(page: str, name: str, words: Words) -> None:
    """A page within this one, and a button that saves it as ``name``."""
    st.iframe(page, height=REPORT_HEIGHT)
    st.download_button(words("runs.save"), page, name, "text/html", key=f"save-{name}")


def _trials(run: Recorded, words: Words) -> None:
    st.html(tag("h2", words("runs.trials"), class_="heading"))
    here = [name for name in OUTCOMES if run.trials(name, None)]
    arms = list(dict.fromkeys(record.pipeline for record in run.run.records))
    left, middle, right = st.columns([1, 1, 2])
    outcome = left.selectbox(
        words("runs.outcome"),
        [ALL, *here],
        format_func=lambda name: words(f"outcome.{name}") if name else words("runs.all"),
        key="outcome",
    )
    pipeline = middle.selectbox(
        words("runs.pipeline"),
        [ALL, *arms],
        format_func=lambda name: name or words("runs.all"),
        key="pipeline",
    )
    found = run.trials(outcome or None, pipeline or None)
    if not found:
        st.html(notice(words("runs.no_trials"), words))
        return
    if len(found) > MOST_TRIALS:
        said = words("runs.first", n=f"{MOST_TRIALS:,}", all=f"{len(found):,}")
        st.html(notice(said, words))
    named = {record.trial: record for record in found[:MOST_TRIALS]}
    trial = right.selectbox(
        words("runs.trial"),
        list(named),
        format_func=lambda name: _name(named[name], words) if name in named else name,
        key="trial",
    )
    st.html(_trial(run, named[trial], words))


def _name(record: TrialRecord, words: Words) -> str:
    repeat = words("runs.repeat", n=record.repeat)
    outcome = words(f"outcome.{record.outcome}")
    return f"{record.scenario} · {record.pipeline} · {repeat} · {outcome}"


def _trial(run: Recorded, record: TrialRecord, words: Words) -> Html:
    """One trial: what was asked, what came of it, the answer with its differences."""
    time = record.response_time
    took = "" if time is None else f" · {words('runs.took', s=f'{time:.3f}')}"
    written = run.language(record) or words.lang
    request, before, after = run.request(record), run.before(record), run.after(record)
    parts: list[object] = []
    if request:
        shown = tag("span", request, lang=written)
        parts.append(fact(words("result.request"), shown))
    parts.append(fact(words("runs.outcome"), words(f"outcome.{record.outcome}") + took))
    said = ReportWords(language(words.lang))
    if record.error is not None and record.error.message:
        parts.append(fact(words("runs.error"), failure(record.error.message, said)))
    if record.malformed is not None:
        parts.append(fact(words("runs.error"), said.translated(record.malformed.why, "why")))
    parts.append(checks_html(record.checks, words))
    reply = run.replies.get(record.trial, "")
    if after is not None:
        parts.append(story_html(before, after, words, written))
    if not reply.strip():
        parts.append(tag("p", words("runs.no_reply"), class_="notice"))
    else:
        raw = tag("pre", reply, class_="reply", tabindex="0")
        parts.append(
            tag(
                "details",
                tag("summary", words("runs.reply")),
                raw,
                class_="turn",
                open=after is None,
            )
        )
    return tag("section", *parts, class_="result", lang=words.lang)
