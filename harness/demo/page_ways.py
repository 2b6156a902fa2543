"""The page of the five ways: ask, run, watch, read what came back."""

import streamlit as st

from harness.demo.asked import (
    BATCH,
    OWN,
    Asked,
    Batch,
    asked_of,
    batch_of,
    first_of,
    read_own,
)
from harness.demo.board import Board
from harness.demo.cards import notice, result_html, story_html, way_card
from harness.demo.options import Options
from harness.demo.results import results
from harness.demo.ways import WAYS, Way
from harness.demo.words import Words
from harness.report.markup import tag
from harness.scenario import Scenario
from harness.story import Story

TICK_S = 0.2
SOURCES = ("shipped", "own")


def show(options: Options, scenarios: list[Scenario], words: Words) -> None:
    """Draw the page; it draws itself again while something runs."""
    board: Board = st.session_state.setdefault("board", Board(options.service))
    st.html(tag("h2", words("ask.heading"), class_="heading"))
    asked = _ask(options, scenarios, words)
    batch = None if asked is None else batch_of(asked, scenarios)
    _run(board, batch, words)
    _results(board, words)


def _ask(options: Options, scenarios: list[Scenario], words: Words) -> Asked | None:
    """What the visitor wants to be edited; None while it is not complete."""
    source = st.segmented_control(
        words("ask.source"),
        SOURCES,
        format_func=lambda name: words(f"ask.{name}"),
        key="source",
        required=True,
        default="shipped",
        label_visibility="collapsed",
    )
    if source == "own":
        return _ask_own(options, scenarios, words)
    names = {scenario.id: scenario for scenario in scenarios}
    left, right = st.columns(2, gap="medium")
    with left:
        first = first_of(scenarios, options.lang, options.scenario)
        name = st.selectbox(
            words("ask.scenario"), list(names), index=list(names).index(first.id), key="scenario"
        )
        scenario = names[name]
        with st.expander(words("ask.read")):
            st.html(story_html(None, scenario.story, words, scenario.language))
    with right:
        request = _request(scenario.id, scenario.request, words)
    if not request:
        return None
    asked = asked_of(scenario, request)
    if asked.scenario is None:
        st.html(notice(words("ask.unchecked"), words))
    else:
        st.html(notice(words("ask.checked", n=len(scenario.checks)), words))
    return asked


def _ask_own(options: Options, scenarios: list[Scenario], words: Words) -> Asked | None:
    sample = first_of(scenarios, words.lang)
    left, right = st.columns(2, gap="medium")
    with left:
        text = st.text_area(
            words("ask.story"), sample.story.to_json(indent=1), height=260, key="own-story"
        )
        story = read_own(text, words)
        if isinstance(story, Story):
            said = words("own.good", turns=len(story.turns), stocks=len(story.stock_names))
            st.html(notice(said, words))
        else:
            st.html(notice(story, words, bad=True))
    with right:
        request = _request(OWN, sample.request, words)
    if not isinstance(story, Story) or not request:
        return None
    st.html(notice(words("ask.unchecked"), words))
    return Asked(OWN, story, request)


def _request(chapter: str, usual: str, words: Words) -> str:
    flowing = " ".join(usual.split())
    request = st.text_area(words("ask.request"), flowing, height=130, key=f"request-{chapter}")
    if not request.strip():
        st.html(notice(words("ask.no_request"), words, bad=True))
    return request.strip()


def _run(board: Board, batch: Batch | None, words: Words) -> None:
    """The button for all ways, and the five cards, redrawn by themselves while one runs."""
    running, ended = board.running, board.ended
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(
            words("run.all"),
            key="run-all",
            type="primary",
            disabled=batch is None or running,
            on_click=lambda: board.start(_edits(WAYS, batch)),
        )
        st.html(notice(words("run.in_turn"), words))

    @st.fragment(run_every=TICK_S if running else None)
    def cards() -> None:
        columns = st.columns(len(WAYS), gap="small")
        for way, column in zip(WAYS, columns, strict=True):
            with column, st.container(border=True, key=f"way-{way}"):
                _card(way, board, batch, words)
        if (board.running, board.ended) != (running, ended):
            st.rerun()  # a way has begun or ended, which concerns the whole page

    cards()


def _card(way: Way, board: Board, batch: Batch | None, words: Words) -> None:
    progress = board.progress.get(way)
    edits = BATCH if way == "batch" else 1
    st.html(way_card(way, progress, edits, board.longest, words))
    if way == "job" and progress is not None and progress.job and not progress.over:
        st.button(words("run.cancel"), key="cancel", width="stretch", on_click=board.cancel)
        return
    st.button(
        words(f"start.{way}"),
        key=f"run-{way}",
        width="stretch",
        disabled=batch is None or board.running,
        on_click=lambda: board.start(_edits((way,), batch)),
    )


def _edits(ways: tuple[Way, ...], batch: Batch | None) -> dict[Way, Batch]:
    """What each way sends; without an edit, nothing."""
    if batch is None:
        return {}
    return {way: batch if way == "batch" else batch[:1] for way in ways}


def _results(board: Board, words: Words) -> None:
    """The results of the way that ended last, or of the one that was chosen."""
    st.html(tag("h2", words("result.heading"), class_="heading"))
    over = [way for way in WAYS if way in board.progress and board.progress[way].over]
    if not over:
        st.html(notice(words("result.none"), words))
        return
    if board.latest is not None and st.session_state.get("seen") is not board.latest:
        st.session_state["seen"] = board.latest
        st.session_state["shown"] = board.latest.way
    shown = st.segmented_control(
        words("result.which"),
        over,
        format_func=lambda way: words(f"way.{way}"),
        key="shown",
        required=True,
        label_visibility="collapsed",
    )
    if shown is None:
        return
    found = results(board.progress[shown])
    if len(found) == 1:
        st.html(result_html(found[0], words))
        return
    tabs = st.tabs([words("result.edit", n=n) for n in range(1, len(found) + 1)])
    for tab, result in zip(tabs, found, strict=True):
        with tab:
            st.html(result_html(result, words))
