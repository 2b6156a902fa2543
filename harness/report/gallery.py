"""The failed trials of a run, with what was asked, what is wrong, and what came instead."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harness.edits import read_story
from harness.records import OUTCOMES, Answer, CheckResult, TrialRecord
from harness.report.differences import marked
from harness.report.markup import Html, join, tag, text
from harness.report.quoting import failure
from harness.report.tables import definitions
from harness.report.words import Words
from harness.store import each_answer
from harness.story import Field, Story, StoryError, fields, parse_story
from harness.trials import Ints, Recorded

MOST_TRIALS, LEAST_OF_GROUP = 60, 3
MOST_CHECKS = 6
MOST_CHARS = 600  # of a value or an excerpt
SHOWN = ("wrong", "malformed", "error", "dropped")


@dataclass(frozen=True)
class Gallery:
    """Shows the failures of a run; ``run.manifest`` tells the requests and, if it keeps them, the
    stories (``story``, ``reference``) of the scenarios.
    """

    run: Recorded
    words: Words

    @cached_property
    def groups(self) -> dict[tuple[str, str], Ints]:
        """Failed trials that count, by outcome and kind of failure; in each by scenario and arm."""
        trials = self.run.trials
        place = np.full(len(OUTCOMES), len(SHOWN))
        place[[OUTCOMES.index(name) for name in SHOWN]] = np.arange(len(SHOWN))
        rows = np.flatnonzero(~trials.warmup & (place[trials.outcome] < len(SHOWN)))
        rows = rows[
            np.lexsort(
                (trials.repeat[rows], trials.pipeline.codes[rows], trials.scenario.codes[rows])
            )
        ]
        names = ("", *trials.kind.names)
        found = {}
        for outcome in SHOWN:
            ended = rows[trials.outcome[rows] == OUTCOMES.index(outcome)]
            kinds = trials.kind.codes[ended] + 1  # NONE is "", before all others
            for kind in sorted(np.unique(kinds).tolist(), key=names.__getitem__):
                found[outcome, names[kind]] = ended[kinds == kind]
        return found

    @cached_property
    def shown(self) -> dict[tuple[str, str], list[TrialRecord]]:
        """As many failures as the page has room for, some of each group, spread over it."""
        share = max(LEAST_OF_GROUP, MOST_TRIALS // max(1, len(self.groups)))
        found = {}
        for group, rows in self.groups.items():
            step = max(1.0, rows.size / share)
            places = (int(i * step) for i in range(min(share, rows.size)))
            found[group] = [self.run.trials.record(int(rows[place])) for place in places]
        return found

    @cached_property
    def replies(self) -> dict[str, Answer]:
        """The last edit reply of each trial that is shown or may serve as an example."""
        shown = (record for trials in self.shown.values() for record in trials)
        wanted = {r.trial for r in (*shown, *self._examples.values())}
        if not wanted:
            return {}
        return {
            answer.trial: answer
            for answer in each_answer(self.run.folder)
            if answer.trial in wanted and answer.call == "edit"
        }

    @cached_property
    def _examples(self) -> dict[str, TrialRecord]:
        """A right trial of each scenario that is shown, warm-up or not."""
        trials = self.run.trials
        right = np.flatnonzero(trials.ended("ok"))
        codes, first = np.unique(trials.scenario.codes[right], return_index=True)
        wanted = {record.scenario for found in self.shown.values() for record in found}
        return {
            name: trials.record(int(right[at]))
            for code, at in zip(codes.tolist(), first.tolist(), strict=True)
            if (name := trials.scenario.names[code]) in wanted
        }

    def html(self) -> Html:
        """The section: a count, then the trials by group, each folded."""
        words = self.words
        count = sum(rows.size for rows in self.groups.values())
        shown = sum(map(len, self.shown.values()))
        parts = [tag("h2", words("heading.failures"))]
        if not count:
            parts.append(tag("p", words("failures.none")))
        elif count > shown:
            kinds = ",".join(dict.fromkeys(outcome for outcome, _ in self.groups))
            folder = shlex.quote(str(self.run.folder))
            command = f"harness show {folder} --outcome {kinds} --all"
            line = words("failures.shown", shown=f"{shown:,}", all=f"{count:,}")
            parts.append(tag("p", line, " ", tag("code", command)))
        else:
            parts.append(tag("p", words("failures.all_shown", all=count)))
        for (outcome, kind), trials in self.shown.items():
            named = words.known(f"{outcome}.{kind}", words.known(f"kind.{kind}", kind))
            title = words(f"outcome.{outcome}") + (f": {named}" if named else "")
            total = self.groups[outcome, kind].size
            parts.append(tag("h3", title, tag("span", f" {total:,}", class_="count")))
            parts += [self._trial(record) for record in trials]
            if total > len(trials):
                more = words("failures.more", n=f"{total - len(trials):,}")
                parts.append(tag("p", more, class_="small"))
        return tag("section", *parts, id="failures", class_="failures")

    def _trial(self, record: TrialRecord) -> Html:
        words = self.words
        about = self.run.manifest["scenarios"].get(record.scenario, {})
        line = [
            tag("b", record.scenario),
            tag("span", record.pipeline),
            tag("span", words("failures.repeat", n=record.repeat)),
            self._glimpse(record),
        ]
        parts = [
            tag("h4", words("failures.request")),
            tag("p", _cut(about.get("request", "—")), class_="request", lang=about.get("language")),
        ]
        parts += self._wrong(record) if record.checks else self._unanswered(record)
        return tag("details", tag("summary", join(line, " ")), *parts, class_="failure")

    def _said(self, why: str | None) -> str:
        """A reason, which the records have in English, in the language of the page."""
        return "—" if not why else self.words.translated(why, "why")

    def _glimpse(self, record: TrialRecord) -> Html | None:
        """What is wrong, in a few words for the folded line."""
        failed = next((check for check in record.checks if not check.ok), None)
        if failed is not None:
            return tag("span", f"{failed.id}: {self._said(failed.why)}", class_="glimpse")
        if record.malformed is not None:
            return tag("span", self._said(record.malformed.why), class_="glimpse")
        if record.error is not None and record.error.message:
            return tag("span", failure(record.error.message, self.words), class_="glimpse")
        return None

    def _unanswered(self, record: TrialRecord) -> Iterator[Html]:
        """Why there is no story, and where the reply breaks off or begins."""
        words = self.words
        yield tag("h4", words("failures.problem"))
        if record.error is not None:
            kind = words.known(f"error.{record.error.type}", record.error.type)
            yield tag("p", tag("b", kind), ": ", failure(record.error.message, words))
        if record.malformed is not None:
            kind = words.known(f"malformed.{record.malformed.reason}", record.malformed.reason)
            yield tag("p", tag("b", kind), ": ", self._said(record.malformed.why))
        yield from self._calls(record)
        reply = self.replies.get(record.trial)
        if reply is None or not reply.text.strip():
            yield tag("p", words("failures.no_reply"), class_="small")
            return
        at_end = record.malformed is not None and record.malformed.reason == "truncated"
        yield tag("h4", words("failures.reply_end" if at_end else "failures.reply_start"))
        yield tag("pre", _cut(reply.text, at_end=at_end))

    def _calls(self, record: TrialRecord) -> Iterator[Html]:
        """The calls of the trial that did not come back with an answer."""
        words = self.words
        lines = []
        for attempt in record.attempts:
            if attempt.error is None:
                continue
            kind = words.known(f"error.{attempt.error.type}", attempt.error.type)
            status = f", {words('failures.status')} {attempt.status}" if attempt.status else ""
            call = words(f"failures.{attempt.call}")
            lines.append(tag("li", f"{call}: {kind}{status}"))
        if lines:
            yield tag("h4", words("failures.calls"))
            yield tag("ul", *lines)

    def _wrong(self, record: TrialRecord) -> Iterator[Html]:
        """Every failed check, with the field before and after."""
        failed = [check for check in record.checks if not check.ok]
        about = self.run.manifest["scenarios"].get(record.scenario, {})
        before, reference = _story(about.get("story")), _story(about.get("reference"))
        answer = self._answer(record)
        example = self._examples.get(record.scenario)
        whose = self.words("failures.right")
        if reference is None and example is not None:
            reference = self._answer(example)
            whose = self.words("failures.right_of", arm=example.pipeline)
        yield tag("h4", self.words("failures.problem"))
        places = set()
        for check in failed[:MOST_CHECKS]:
            yield tag("p", *self._check(check), class_="check")
            if (check.turn, check.field) in places:
                continue
            places.add((check.turn, check.field))
            yield from self._values(check, before, answer, reference, whose, about.get("language"))
        if len(failed) > MOST_CHECKS:
            more = self.words("failures.more_checks", n=len(failed) - MOST_CHECKS)
            yield tag("p", more, class_="small")

    def _check(self, check: CheckResult) -> Iterator[object]:
        yield tag("b", check.id)
        if check.id != check.kind:
            yield tag("span", f" ({check.kind})", class_="muted")
        if check.turn is not None:
            yield f" · {self.words('failures.turn', n=check.turn)}"
        if check.field is not None:
            yield join([" · ", tag("code", check.field)])
        if check.proxy:
            yield join([" ", tag("span", self.words("failures.proxy"), class_="badge")])
        yield f": {self._said(check.why)}"

    def _values(
        self,
        check: CheckResult,
        before: Story | None,
        answer: Story | None,
        reference: Story | None,
        whose: str,
        language: str | None,
    ) -> Iterator[Html]:
        """The field that a check points at: old and new marked word by word, and a right one."""
        if check.turn is None or check.field is None:
            return
        found = _place(before, check) or _place(answer, check) or _place(reference, check)
        if found is None:
            return
        old, new, right = (_value(story, found) for story in (before, answer, reference))
        rows = []
        if old is not None and new is not None and old != new:
            rows.append((self.words("failures.changed"), marked(_cut(old), _cut(new))))
        elif new is not None:
            rows.append((self.words("failures.answer"), text(_cut(new))))
        elif old is not None:
            rows.append((self.words("failures.before"), text(_cut(old))))
        if right is not None and right != new:
            rows.append((whose, text(_cut(right))))
        if rows:
            yield definitions(rows, class_="values", lang=language)

    def _answer(self, record: TrialRecord) -> Story | None:
        reply = self.replies.get(record.trial)
        found = None if reply is None else read_story(reply.text)
        return found if isinstance(found, Story) else None


def _story(data: Any) -> Story | None:
    """A story of the manifest; None when it keeps none."""
    try:
        return None if data is None else parse_story(data)
    except StoryError:
        return None


def _place(story: Story | None, check: CheckResult) -> Field | None:
    """The field of a story that a check names."""
    if story is None:
        return None
    named = (f for f, _ in fields(story) if f.turn == check.turn and f.path == check.field)
    return next(named, None)


def _value(story: Story | None, place: Field) -> str | None:
    """The value at the same place of a story, whatever its stocks are called."""
    if story is None:
        return None
    key = (place.turn, place.name, place.stock)
    return next((f"{v}" for f, v in fields(story) if (f.turn, f.name, f.stock) == key), None)


def _cut(value: str, *, at_end: bool = False) -> str:
    if len(value) <= MOST_CHARS:
        return value
    return f"…{value[-MOST_CHARS:]}" if at_end else f"{value[:MOST_CHARS]}…"
