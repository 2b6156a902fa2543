"""``async``: N edits in flight, refilled as they finish."""

from harness.pipelines.base import Dispatch, PipelineResult, Settings
from harness.pipelines.steps import edit_async
from harness.prompt import Editable
from harness.providers import Recorder


class Async:
    """N edits in flight, refilled as they finish."""

    name = "async"
    dispatch: Dispatch = "tasks"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def edit(self, scenario: Editable, provider: Recorder) -> PipelineResult:
        return await edit_async(scenario, provider, self._settings)
