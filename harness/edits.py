"""Reply text → Story, or a typed reason why there is none; whole, and incremental for streams.

Both readers rest on one fact: *no story holds the beginning of another*. A beginning is an opened
array, an opened object and the name of a turn's field, ``[{"turn_number"``. Within a story the only
other arrays are lists of stocks, whose fields have other names; and within a text the quote of the
beginning would end that text right in front of a letter, which is not JSON. So a reply can be cut
at its beginnings and every piece decoded once: all stories are found in linear time, whatever
surrounds them (chatter, fences, wrapping objects, other JSON).
"""

import json
import re
from collections.abc import Generator
from itertools import pairwise
from typing import Literal

from harness.records import Malformed
from harness.story import (
    STRICT_DECODER,
    TURN_FIELDS,
    Story,
    StoryError,
    Turn,
    parse_story,
    parse_turn,
)

MAX_CHARS = 2_000_000
MAX_WHY = 200  # characters
UNUSABLE = "unusable_answer"  # the service's problem for a model's answer that is no story

_SPACE = " \t\r\n"  # JSON's own notion of it
_FIELD = "|".join(  # JSON may write any letter as an escape
    "".join(rf"(?:{letter}|\\u{ord(letter):04x})" for letter in name) for name in TURN_FIELDS
)
_STORY = re.compile(rf'\[[{_SPACE}]*\{{[{_SPACE}]*"(?:{_FIELD})"', re.IGNORECASE)
_ARRAY = re.compile(rf"\[[{_SPACE}]*\{{")
# What may still become a beginning, at the end of the text; an escaped letter has 6 characters.
_UNFINISHED = re.compile(
    rf'\[[{_SPACE}]*(?:\{{[{_SPACE}]*(?:"[^"\s]{{0,{6 * max(map(len, TURN_FIELDS))}}})?)?\Z'
)
# What a JSON error points at where only the rest is missing: nothing, a sign, half an escape.
_CUT = re.compile(rf"[{_SPACE}]*|-|(?<=\\)u[0-9a-fA-F]{{0,4}}")


def read_story(text: str) -> Story | Malformed:
    """The last valid story in the text (models echo the original or a draft first).

    Without one, the reason belongs to the array that looks most like a story: the one that names
    the most turn numbers, of equals the last; failing that, the first array of objects. Never
    raises; takes time linear in the text, which may have ``MAX_CHARS`` characters.
    """
    if len(text) > MAX_CHARS:
        return _too_long(len(text))
    if not text.strip():
        return Malformed("empty", "the reply is empty")
    starts = [begin.start() for begin in _STORY.finditer(text)]
    if not starts:
        other = _UNFINISHED.search(text) or _ARRAY.search(text)
        if other is None:
            return Malformed("no_json", "nothing in the reply begins like an array of objects")
        starts = [other.start()]
    failures: list[tuple[int, Malformed]] = []
    for start, end in reversed(list(pairwise([*starts, len(text)]))):
        found = _read_array(text, start, end)
        if isinstance(found, Story):
            return found
        failures.append((text.count('"turn_number"', start, end), found))
    return max(failures, key=lambda failure: failure[0])[1]


class StoryWatch:
    """Watches a reply as it streams in, for the moment from which it can hold no story.

    It commits to the first array that begins like a story and judges every turn as it closes;
    between turns only white space and a comma, or the closing bracket, may stand. It never gives
    up an answer that ``read_story`` would accept, with one exception: a valid story that follows
    (or stands inside) a broken array that began like one. Once an array closes well, only
    ``MAX_CHARS`` can spoil the answer. Time is linear in the text, however it is split.
    """

    def __init__(self) -> None:
        self._chars = 0
        self._reason: Malformed | None = None
        self._reader: Generator[None, str, Malformed | None] | None = _first_array()
        next(self._reader)

    def feed(self, chunk: str) -> Malformed | None:
        """The reason why the text so far is no story and cannot become one, else None.

        Once there is a reason, it stays.
        """
        self._chars += len(chunk)
        if self._reason is None and self._chars > MAX_CHARS:
            self._reason = _too_long(self._chars)
        if self._reason is None and self._reader is not None:
            try:
                for char in chunk:
                    self._reader.send(char)
            except StopIteration as end:
                self._reason = end.value
                self._reader = None
        return self._reason


# Readers of single characters, sent to them one by one.


def _first_array() -> Generator[None, str, Malformed | None]:
    """Reads to the end of the first array that begins like a story; None means it is one."""
    opened = yield from _beginning()
    turns: list[Turn] = []
    while True:
        number = len(turns) + 1
        text = yield from _object(opened)
        try:
            data = STRICT_DECODER.decode(text)
            turns.append(parse_turn(data, number, turns[0] if turns else None))
        except StoryError as error:
            return _malformed("bad_story", str(error))
        except (ValueError, RecursionError) as error:
            return _bad_json(error, f"turn {number}")
        mark = yield from _mark()
        if mark == "]":
            return None
        if mark != ",":
            return _malformed(
                "bad_json", f"turn {number} is followed by {mark!r}, not by ',' or ']'"
            )
        opened = yield from _mark()
        if opened != "{":
            return _malformed(
                "bad_json", f"turn {number + 1} begins with {opened!r}, not with '{{'"
            )


def _beginning() -> Generator[None, str, str]:
    """Reads to the first beginning of a story; gives its object as far as it was read."""
    head = ""
    while True:
        head += yield
        if _STORY.fullmatch(head):
            return head.removeprefix("[")
        unfinished = _UNFINISHED.search(head)
        # Without its white space, which means nothing here, it has a bounded length.
        head = "".join(unfinished[0].split()) if unfinished else ""


def _object(opened: str) -> Generator[None, str, str]:
    """Reads to the brace that closes an object of which ``opened`` was read, strings complete."""
    chars = [opened]
    depth = 1
    quoted = False
    while depth:
        char = yield
        chars.append(char)
        if char == '"':
            quoted = not quoted
        elif quoted and char == "\\":
            chars.append((yield))
        elif not quoted and char == "{":
            depth += 1
        elif not quoted and char == "}":
            depth -= 1
    return "".join(chars)


def _mark() -> Generator[None, str, str]:
    """Reads to the next character that is not white space."""
    while (char := (yield)) in _SPACE:
        pass
    return char


def _read_array(text: str, start: int, end: int) -> Story | Malformed:
    """The story in ``text[start:end]``, which opens an array, or what is wrong with it."""
    try:
        data, _ = STRICT_DECODER.raw_decode(text[start:end])
        return parse_story(data)
    except StoryError as error:
        return _malformed("bad_story", str(error))
    except (ValueError, RecursionError) as error:
        if end == len(text) and _cut_off(error):
            return Malformed("truncated", f"the reply ends after {end} characters, inside an array")
        return _bad_json(error, "reply", start)


def _cut_off(error: ValueError | RecursionError) -> bool:
    """Whether more text could have mended it."""
    return isinstance(error, json.JSONDecodeError) and (
        error.msg.startswith("Unterminated string")
        or _CUT.fullmatch(error.doc, error.pos) is not None
    )


def _bad_json(error: ValueError | RecursionError, where: str, before: int = 0) -> Malformed:
    """``before``: how many characters of ``where`` precede the decoded part."""
    if isinstance(error, json.JSONDecodeError):
        near = error.doc[max(0, error.pos - 20) : error.pos + 20]
        why = f"{error.msg} after {before + error.pos} characters, near {near!r}"
    elif isinstance(error, RecursionError):
        why = "is nested too deeply"
    else:
        why = str(error).partition(";")[0]  # behind it, Python advises programmers
    return _malformed("bad_json", f"{where}: {why}")


def _too_long(chars: int) -> Malformed:
    return Malformed("too_long", f"the reply has {chars} characters, at most {MAX_CHARS} are read")


def _malformed(reason: Literal["bad_json", "bad_story"], why: str) -> Malformed:
    """A reason whose words come from the reply in part, so they may be long."""
    return Malformed(reason, why if len(why) <= MAX_WHY else f"{why[: MAX_WHY - 1]}…")
