"""``sync-threads``: the blocking edit on N threads, as a threaded server would run it."""

from harness.pipelines.base import Dispatch, PipelineResult, Settings
from harness.pipelines.steps import edit_blocking
from harness.prompt import Editable
from harness.providers import Recorder


class SyncThreads:
    """The blocking edit on N threads, as a threaded server would run it."""

    name = "sync-threads"
    dispatch: Dispatch = "threads"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def edit(self, scenario: Editable, provider: Recorder) -> PipelineResult:
        return edit_blocking(scenario, provider, self._settings)
