"""The steps that pipelines share: ask for the edit, read it, ask for the summary."""

from collections.abc import Awaitable, Callable

from harness.edits import StoryWatch, read_story
from harness.pipelines.base import PipelineResult, Settings
from harness.prompt import (
    Editable,
    Prompt,
    clean_summary,
    edit_prompt,
    rule_summary,
    summary_prompt,
)
from harness.providers import ProviderError, Recorder
from harness.providers.schema import story_schema
from harness.records import Malformed
from harness.story import Story


def first_prompt(scenario: Editable, settings: Settings) -> Prompt:
    """The edit call, constrained to the story's own shape when that is asked for."""
    schema = story_schema(scenario.story) if settings.constrained else None
    return edit_prompt(scenario, schema)


def edit_blocking(scenario: Editable, provider: Recorder, settings: Settings) -> PipelineResult:
    """Both calls, holding the thread. Raises ProviderError when the edit gets no answer."""
    completion = provider.complete_blocking(first_prompt(scenario, settings))
    story = read_story(completion.text)
    if isinstance(story, Malformed) or not settings.summary:
        return PipelineResult(story)
    try:
        text = provider.complete_blocking(summary_prompt(scenario, story)).text
    except ProviderError:
        text = ""
    return PipelineResult(story, clean_summary(text) or rule_summary(scenario))


async def edit_async(scenario: Editable, provider: Recorder, settings: Settings) -> PipelineResult:
    """Both calls, awaiting each. Raises ProviderError when the edit gets no answer."""
    completion = await provider.complete(first_prompt(scenario, settings))
    return await _with_summary(read_story(completion.text), scenario, provider, settings)


async def edit_streaming(
    scenario: Editable,
    provider: Recorder,
    settings: Settings,
    show: Callable[[str], Awaitable[None]] | None = None,
) -> PipelineResult:
    """As ``edit_async``, but the edit comes as a stream, which is closed as soon as it can no
    longer become a valid story.

    ``show`` is awaited with every piece of text; while it waits, no more is read.
    """
    parts: list[str] = []
    watch = StoryWatch()
    stream = provider.stream(first_prompt(scenario, settings))
    try:
        async for text in stream:
            parts.append(text)
            if show is not None:
                await show(text)
            if (doomed := watch.feed(text)) is not None:
                return PipelineResult(doomed)
    finally:
        await stream.aclose()
    return await _with_summary(read_story("".join(parts)), scenario, provider, settings)


async def _with_summary(
    story: Story | Malformed, scenario: Editable, provider: Recorder, settings: Settings
) -> PipelineResult:
    if isinstance(story, Malformed) or not settings.summary:
        return PipelineResult(story)
    try:
        text = (await provider.complete(summary_prompt(scenario, story))).text
    except ProviderError:
        text = ""
    return PipelineResult(story, clean_summary(text) or rule_summary(scenario))
