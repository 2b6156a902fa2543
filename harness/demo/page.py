"""The whole page: its title, the language, and which of its two views is shown."""

from pathlib import Path

import streamlit as st

from harness.demo import page_runs, page_ways
from harness.demo.asked import FIRST, shipped
from harness.demo.options import Options
from harness.demo.words import LANGS, Words
from harness.report.markup import tag
from harness.scenario import Scenario

VIEWS = ("ways", "runs")
LANGUAGES = {"en": "English", "ko": "한국어"}
KEPT = ("source", "scenario", "own-story", "request-")


def show(options: Options) -> None:
    """Draw the page."""
    st.set_page_config(page_title="harness demo", layout="wide", menu_items={})
    st.html(Path(__file__).with_name("demo.css"))
    _keep()
    title = st.container()
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        views = st.container(width="content")
        languages = st.container(width="content")
    with languages:
        lang = st.segmented_control(
            "Language · 언어",
            LANGS,
            default=options.lang,
            format_func=LANGUAGES.__getitem__,
            key="lang",
            required=True,
            label_visibility="collapsed",
            on_change=_scenario_follows,
        )
    words = Words(lang or options.lang)
    with title:
        st.html(_title(options, words))
    with views:
        view = st.segmented_control(
            words("page.view"),
            VIEWS,
            default="ways",
            format_func=lambda name: words(f"page.{name}"),
            key="view",
            required=True,
            label_visibility="collapsed",
        )
    if view == "runs":
        page_runs.show(options, words)
    else:
        page_ways.show(options, _scenarios(), words)


def _scenario_follows() -> None:
    """With the language changes the scenario, unless another than the first was chosen."""
    if st.session_state.get("scenario") in FIRST.values():
        st.session_state["scenario"] = FIRST[st.session_state["lang"]]


def _keep() -> None:
    """Keep what was typed while the other view is shown: what is not drawn would be forgotten."""
    for key in list(st.session_state):
        if str(key).startswith(KEPT):
            st.session_state[key] = st.session_state[key]


@st.cache_resource(show_spinner=False)
def _scenarios() -> list[Scenario]:
    return shipped()


def _title(options: Options, words: Words) -> str:
    return tag(
        "div",
        tag("h1", words("page.title")),
        tag("p", words("page.about"), " ", tag("span", options.model(words), class_="badge")),
        class_="title",
        lang=words.lang,
    )
