"""Answers judged after the run: every form of body, and anything that is none."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.edits import UNUSABLE
from harness.load.asking import Form
from harness.load.checking import (
    READERS,
    check_answers,
    read_completion,
    with_unusable,
)
from harness.load.columns import Failure
from harness.load.observed import CODE
from harness.records import Malformed
from tests.load.build import columns
from tests.simulated import short

SCENARIOS = short()[:2]
RIGHT = SCENARIOS[0].reference.to_json()
FORMS: tuple[Form, ...] = ("completion", "completion_stream", "edit", "edit_stream")


def event(data: object, name: str = "") -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def delta(**given: object) -> bytes:
    return event({"choices": [{"index": 0, "delta": given}]})


def body(form: Form, text: str) -> bytes:
    """An answer with ``text`` as a server of this form gives it."""
    half = len(text) // 2
    if form == "completion":
        return orjson.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})
    if form == "completion_stream":
        return b"".join(
            [
                delta(role="assistant", content=None),
                b": a comment\n\n",
                delta(content=text[:half]),
                delta(content=text[half:]),
                delta(),
                event({"choices": [], "usage": {"completion_tokens": 3}}),
                b"data: [DONE]\n\n",
            ]
        )
    edit = {"chapterId": "1", "story": text, "isCustom": True, "summary": ""}
    if form == "edit":
        return orjson.dumps(edit)
    return event({"text": text[:half]}, "token") + event(edit, "result")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_text(form: Form) -> None:
    assert READERS[form](body(form, RIGHT)) == RIGHT


@pytest.mark.parametrize("form", FORMS)
@given(
    data=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers(0, 9) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["choices", "message", "content", "delta", "story"]), inner
            )
        ),
        max_leaves=8,
    ).map(lambda value: b"data: " + orjson.dumps(value) + b"\n\n")
)
def test_any_bytes_are_read_or_malformed(form: Form, data: bytes) -> None:
    assert isinstance(READERS[form](data), str | Malformed)
    assert isinstance(READERS[form](data.removeprefix(b"data: ")), str | Malformed)


def test_null_content_is_an_empty_reply() -> None:
    assert read_completion(b'{"choices": [{"message": {"content": null}}]}') == ""


@pytest.mark.parametrize("form", ["completion", "edit"])
def test_an_empty_answer_is_malformed(form: Form, tmp_path: Path) -> None:
    right = body(form, RIGHT)
    made = columns(3, size=np.array([len(right), 0, 0]), body_at=np.array([0, -1, -1]))
    made.failure[2] = Failure.RESET
    spool = tmp_path / "bodies"
    spool.write_bytes(right)
    checked = check_answers(made, spool, SCENARIOS, np.zeros(3, np.int32), READERS[form])
    assert checked.outcome.tolist() == [CODE["ok"], CODE["malformed"], CODE["error"]]
    assert checked.which[2] == -1
    assert checked.verdicts[checked.which[1]].malformed is not None


@pytest.mark.parametrize("form", ["edit", "edit_stream"])
def test_the_services_word_that_an_answer_was_no_story_is_an_answer(
    form: Form, tmp_path: Path
) -> None:
    said = {"detail": "the model's answer holds no valid story: it broke off", "type": UNUSABLE}
    other = {"detail": f"never {UNUSABLE}", "type": "overloaded"}
    whole = [orjson.dumps(said), orjson.dumps(other), body(form, RIGHT), b"", b"<html>" * 3]
    streamed = [event({"text": "a"}, "token") + event(each, "error") for each in (said, other)]
    story = body(form, RIGHT.replace("}", f"}} {UNUSABLE}", 1))
    bodies = [*whole, *streamed, story, orjson.dumps(UNUSABLE), b"{" + UNUSABLE.encode()]
    sizes = np.array([len(part) for part in bodies])
    failed = np.full(len(bodies), Failure.HTTP_5XX, np.int8)
    failed[2] = Failure.NONE
    failed[5:] = Failure.PROTOCOL
    at = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    made = columns(len(bodies), size=sizes, body_at=np.where(sizes > 0, at, -1), failure=failed)
    spool = tmp_path / "bodies"
    spool.write_bytes(b"".join(bodies))
    found = with_unusable(made, spool)
    assert np.flatnonzero(found.answered).tolist() == [0, 2, 5]
    assert found.failure[1] == made.failure[0] == Failure.HTTP_5XX
    places = np.zeros(len(bodies), np.int32)
    checked = check_answers(found, spool, SCENARIOS, places, READERS[form])
    assert checked.outcome[[0, 2, 5]].tolist() == [
        CODE["malformed"], CODE["ok"], CODE["malformed"],
    ]  # fmt: skip
    why = checked.verdicts[checked.which[0]].malformed
    assert why == Malformed("bad_story", str(said["detail"]))


def test_answers_are_judged_by_the_scenario_that_was_asked_for(tmp_path: Path) -> None:
    bodies = [
        body("completion", RIGHT),
        body("completion", RIGHT),  # for the other scenario
        body("completion", SCENARIOS[0].story.to_json()),
        body("completion", "I cannot do that."),
        b"<html>",
        b"",
        body("completion", RIGHT),
    ]
    which = np.array([0, 1, 0, 0, 0, 0, 0], np.int32)
    sizes = np.array([len(part) for part in bodies])
    failed = np.zeros(7, np.int8)
    failed[5] = Failure.TIMEOUT
    made = columns(
        7, size=sizes, body_at=np.concatenate([[0], np.cumsum(sizes)[:-1]]), failure=failed
    )
    spool = tmp_path / "bodies"
    spool.write_bytes(b"".join(bodies))
    checked = check_answers(made, spool, SCENARIOS, which, READERS["completion"])
    names = {code: name for name, code in CODE.items()}
    found = [names[code] for code in checked.outcome.tolist()]
    assert found == ["ok", found[1], "wrong", "malformed", "malformed", "error", "ok"]
    assert found[1] in ("wrong", "malformed")
    assert checked.which[0] == checked.which[6] >= 0
    assert checked.which[5] == -1
    wrong = checked.verdicts[checked.which[2]]
    assert not all(check.ok for check in wrong.checks)
    malformed = checked.verdicts[checked.which[4]].malformed
    assert malformed is not None
    assert "has not the form" in malformed.why
