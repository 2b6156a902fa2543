"""``fallback``: the asynchronous edit, and when that fails the blocking one on a thread."""

from harness.clock import on_thread
from harness.pipelines.base import Dispatch, PipelineResult, Settings
from harness.pipelines.steps import edit_async, edit_blocking
from harness.prompt import Editable
from harness.providers import ProviderError, Recorder
from harness.records import Malformed


class Fallback:
    """What the service under study does: async first, on failure the sync path.

    A reply without a story is a failure as much as an error is; all attempts are recorded.
    """

    name = "fallback"
    dispatch: Dispatch = "tasks"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def edit(self, scenario: Editable, provider: Recorder) -> PipelineResult:
        try:
            result = await edit_async(scenario, provider, self._settings)
            if not isinstance(result.story, Malformed):
                return result
        except ProviderError:
            pass
        return await on_thread(lambda: edit_blocking(scenario, provider, self._settings))
