"""Whether the provider answers, as opening it and the calls of the edits have shown."""

import asyncio
from collections.abc import Iterable

from harness.records import Attempt
from harness.service.problems import ProblemError

SILENT_MOST = 3  # edits in a row: one or two may be bad luck
RETRY_S = 1.0


class Reach:
    """The provider ``answers`` from when it was opened, and until SILENT_MOST edits in a row could
    not connect to it or waited in vain. Any answer, an error of its own too, begins anew.
    """

    def __init__(self) -> None:
        self.answers = False
        self.ever = False
        """Whether it has answered at all."""
        self._silent = 0
        self._changed = asyncio.Event()  # set and cleared at once: it wakes whoever waits just then

    def check(self) -> None:
        """Raises ProblemError unless the provider answers."""
        if not self.answers:
            why = "the provider no longer answers" if self.ever else "the provider has not answered"
            raise ProblemError("not_ready", f"{why}; try again later", retry_after_s=RETRY_S)

    def answered(self) -> None:
        """It was opened, or has said something."""
        self._silent = 0
        self.ever = True
        self._turn(True)

    def note(self, attempts: Iterable[Attempt], *, late: bool) -> None:
        """Learn from an edit's calls; ``late``: the last was given up at the edit's deadline."""
        silent = False
        for attempt in attempts:
            if attempt.status is not None or attempt.first_token is not None or _whole(attempt):
                self.answered()
                return
            error = attempt.error.type if attempt.error else "timeout" if late else None
            silent |= attempt.sent is not None and error in ("connect", "timeout")
        self._silent += silent
        if self._silent >= SILENT_MOST:
            self._turn(False)

    async def wait(self, answers: bool) -> None:
        """Return when it answers, or when it does not."""
        while self.answers is not answers:
            await self._changed.wait()

    def _turn(self, answers: bool) -> None:
        if self.answers is not answers:
            self.answers = answers
            self._changed.set()
            self._changed.clear()


def _whole(attempt: Attempt) -> bool:
    return attempt.error is None and not attempt.stopped_early
