"""What came back, judged: the edited story with its checks, or why there is none."""

from dataclasses import dataclass

from harness.demo.asked import Asked
from harness.demo.client import Answer, Problem
from harness.demo.ways import Progress
from harness.edits import read_story
from harness.records import CheckResult
from harness.story import Story


@dataclass(frozen=True, slots=True)
class Result:
    """One edit's end: either ``story``, with ``summary`` and ``checks``, or ``problem``."""

    asked: Asked
    story: Story | None
    summary: str
    checks: tuple[CheckResult, ...]
    problem: Problem | None

    @property
    def failed_checks(self) -> int:
        return sum(not check.ok for check in self.checks)


def results(progress: Progress) -> list[Result]:
    """One for each edit of a way that is over; none before."""
    if len(progress.results) < len(progress.edits):  # a batch that failed as a whole has one
        return [_result(progress.edits[0], came) for came in progress.results]
    return [
        _result(asked, came) for asked, came in zip(progress.edits, progress.results, strict=True)
    ]


def _result(asked: Asked, came: Answer | Problem) -> Result:
    if isinstance(came, Problem):
        return Result(asked, None, "", (), came)
    story = read_story(came.story)
    if not isinstance(story, Story):
        return Result(asked, None, came.summary, (), Problem("unusable_answer", story.why))
    return Result(asked, story, came.summary, tuple(asked.judge(story)), None)
