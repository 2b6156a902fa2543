"""The page of recorded runs: one run's figures, its report, and any trial with its answer."""

import shlex
from pathlib import Path

import streamlit as st

from harness.demo import recorded
from harness.demo.cards import checks_html, fact, notice, story_html
from harness.demo.options import Options
from harness.demo.recorded import REPORT, Recorded
from harness.demo.words import Words
from harness.errors import InputError
from harness.records import OUTCOMES, TrialRecord
from harness.report.markup import Html, join, tag
from harness.report.quoting import failure
from harness.report.words import Words as ReportWords
from harness.report.words import language as known_language

COLUMNS = ("arm", "right", "p50", "p95", "ttft", "throughput")
REPORT_HEIGHT = 900
ALL = ""


def show(options: Options, words: Words) -> None:
    """Draw the page."""
    found = recorded.find_runs(options.runs)
    if not found:
        command = "harness run --time-scale 0.02"
        st.html(notice(words("runs.none", folder=options.runs, command=command), words))
        return
    folder = st.selectbox(words("runs.which"), found, format_func=lambda path: path.name, key="run")
    if recorded.size(folder) > recorded.MOST_BYTES:
        mb = f"{recorded.size(folder) / 1e6:,.0f}"
        said = words("runs.too_large", mb=mb, command=_command("show", folder))
        st.html(notice(said, words))
        return
    try:
        run = _read(folder, recorded.stamp(folder))
    except InputError as error:
        st.html(notice(words("runs.broken"), words, bad=True))
        st.html(tag("p", error, class_="small", lang="en"))
        return
    st.html(_facts(run, words))
    if run.summary is not None:
        st.html(_table(run.summary, words))
    _report(folder, words)
    _trials(run, words)


@st.cache_resource(max_entries=4, show_spinner=False)
def _read(folder: Path, stamp: int) -> Recorded:
    """Once for each state of the folder."""
    return recorded.read(folder)


def _facts(run: Recorded, words: Words) -> Html:
    manifest = run.run.manifest
    provider, scale = manifest["provider"], manifest["provider"].get("time_scale")
    if not provider.get("simulated"):
        model = words("runs.real")
    elif scale in (None, 1):
        model = words("page.simulated")
    else:
        model = words("page.simulated_scaled", scale=f"{scale:g}")
    segments = manifest["segments"]
    started = segments[0]["started"][:16].replace("T", " ") if segments else None
    return tag(
        "p",
        tag("span", model, class_="badge"),
        f" {provider.get('model') or manifest['config'].get('provider', '')}",
        f" · {words('runs.started', time=started)} UTC" if started else None,
        class_="facts",
        lang=words.lang,
    )


def _table(summary: recorded.Summary, words: Words) -> Html:
    head = tag("tr", *(tag("th", words(f"runs.{name}"), scope="col") for name in COLUMNS))
    lines = []
    for row in recorded.rows(summary):
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


def _report(folder: Path, words: Words) -> None:
    """The run's own report as it was written, in a frame; only drawn when it is wanted."""
    path = folder / REPORT
    if not path.exists():
        said = words("runs.no_report", command=_command("report", folder))
        st.html(notice(said, words))
        return
    page = path.read_text("utf-8")
    with st.container(horizontal=True, vertical_alignment="center"):
        wanted = st.toggle(words("runs.report"), key="report")
        st.download_button(words("runs.save"), page, f"{folder.name}.html", "text/html", key="save")
    if wanted:
        st.iframe(page, height=REPORT_HEIGHT)


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
    named = {record.trial: record for record in found}
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
    language = run.language(record) or words.lang
    request, before, after = run.request(record), run.before(record), run.after(record)
    parts: list[object] = []
    if request is not None:
        shown = tag("span", request, lang=language)
        parts.append(fact(words("result.request"), shown))
    parts.append(fact(words("runs.outcome"), words(f"outcome.{record.outcome}") + took))
    said = ReportWords(known_language(words.lang))
    if record.error is not None and record.error.message:
        parts.append(fact(words("runs.error"), failure(record.error.message, said)))
    if record.malformed is not None:
        parts.append(fact(words("runs.error"), said.translated(record.malformed.why, "why")))
    parts.append(checks_html(record.checks, words))
    reply = run.replies.get(record.trial, "")
    if after is not None:
        parts.append(story_html(before, after, words, language))
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


def _command(name: str, folder: Path) -> str:
    return f"harness {name} {shlex.quote(str(folder))}"
