"""``batched``: Groups of B edits in parallel, each group waiting for its slowest."""

from harness.pipelines.base import Dispatch, PipelineResult, Settings
from harness.pipelines.steps import edit_async
from harness.prompt import Editable
from harness.providers import Recorder


class Batched:
    """Groups of B edits in parallel, each group waiting for its slowest."""

    name = "batched"
    dispatch: Dispatch = "batches"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def edit(self, scenario: Editable, provider: Recorder) -> PipelineResult:
        return await edit_async(scenario, provider, self._settings)
