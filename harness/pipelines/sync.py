"""``sync``: one blocking edit after another, whatever the concurrency."""

from harness.pipelines.base import Dispatch, PipelineResult, Settings
from harness.pipelines.steps import edit_blocking
from harness.prompt import Editable
from harness.providers import Recorder


class Sync:
    """One blocking edit after another, whatever the concurrency."""

    name = "sync"
    dispatch: Dispatch = "serial"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def edit(self, scenario: Editable, provider: Recorder) -> PipelineResult:
        return edit_blocking(scenario, provider, self._settings)
