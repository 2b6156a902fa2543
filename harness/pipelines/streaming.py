"""``streaming``: N edits in flight, tokens read as they come."""

from harness.pipelines.base import Dispatch, PipelineResult, Settings
from harness.pipelines.steps import edit_streaming
from harness.prompt import Editable
from harness.providers import Recorder


class Streaming:
    """N edits in flight, tokens read as they come."""

    name = "streaming"
    dispatch: Dispatch = "tasks"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def edit(self, scenario: Editable, provider: Recorder) -> PipelineResult:
        return await edit_streaming(scenario, provider, self._settings)
