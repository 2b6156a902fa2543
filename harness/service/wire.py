"""The bodies that go over the wire, as types: what is asked, what is answered, what went wrong.

The OpenAPI document is made from them. The edit routes keep the wire format of the service under
study; everything else is this service's own.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.service.cache import Hit

BODY_BYTES = 2 * 1024 * 1024
STORY_CHARS = 150_000  # even with every character escaped, a story fits into a body
REQUEST_CHARS = 4_000
ID_CHARS = 200
BATCH_ITEMS = 100
MOST_PARALLEL = 16

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class Body(BaseModel):
    """What a client sends. Unknown fields are ignored, as the original service does."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Answer(BaseModel):
    """What the service sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EditRequest(Body):
    """One edit. ``story`` is the JSON array of turns as a string."""

    chapterId: Annotated[str, Field(max_length=ID_CHARS)]  # noqa: N815
    story: Annotated[str, Field(max_length=STORY_CHARS)]
    editRequest: Annotated[str, Field(max_length=REQUEST_CHARS)]  # noqa: N815


class BatchRequest(Body):
    """Several edits, at most ``parallel`` of them at once."""

    scenarios: Annotated[list[EditRequest], Field(min_length=1, max_length=BATCH_ITEMS)]
    parallel: Annotated[int, Field(ge=1, le=MOST_PARALLEL)] = 3


class EditAnswer(Answer):
    """The edited story as a compact JSON string, and one sentence on what changed."""

    chapterId: str  # noqa: N815
    story: str
    isCustom: Literal[True]  # noqa: N815
    summary: Annotated[str, Field(max_length=120)]


class Problem(Answer):
    """Every error. ``detail`` is for people, ``type`` for programs."""

    detail: str
    type: str


class BatchItem(Answer):
    """One edit of a batch: ``result`` when it succeeded, else ``error``. ``cache`` is null when
    there is none, or it was not asked.
    """

    chapterId: str  # noqa: N815
    success: bool
    cache: Hit | None
    result: EditAnswer | None
    error: Problem | None


class BatchAnswer(Answer):
    """The edits of a batch in the order in which they were sent."""

    results: list[BatchItem]
    succeeded: int
    failed: int


class JobAnswer(Answer):
    """A background edit. Times are seconds since the epoch; null: not yet."""

    id: str
    state: JobState
    created: float
    started: float | None
    finished: float | None
    result: EditAnswer | None
    error: Problem | None


class Model(Answer):
    """What answers behind the service. ``profile``, ``time_scale``: of a simulated one."""

    kind: str | None
    model: str | None
    simulated: bool | None
    profile: str | None
    time_scale: float | None


class Home(Answer):
    """What this is. ``provider`` None: it has not answered yet."""

    message: str
    version: str
    status: Literal["running"]
    provider: Model | None


class Health(Answer):
    """The state of the parts. ``unhealthy``: the provider no longer answers. ``startup_s``: seconds
    from the start of the process to listening.
    """

    status: Literal["healthy", "starting", "unhealthy", "draining"]
    llm_initialized: bool
    prompt_template_ready: bool
    task_manager_ready: bool
    async_support: Literal[True]
    startup_s: float


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"]


class Ready(Answer):
    """Edits are accepted: the provider answers, and the service is not stopping."""

    status: Literal["ready"]


class AsyncStatus(Answer):
    """Background edits: those not finished, and those that have succeeded since the start."""

    task_manager_available: bool
    active_tasks: int
    total_completed: int
    server_mode: Literal["async"]


class SystemUse(Answer):
    """The machine; bytes and per cent."""

    cpu_percent: float
    memory_total: int
    memory_available: int
    memory_percent: float


class ProcessUse(Answer):
    """This process; bytes, and per cent of one core since the last time it was asked."""

    pid: int
    memory_rss: int
    memory_vms: int
    cpu_percent: float


class AsyncUse(Answer):
    """Background edits, under the names that ``/performance`` has for them."""

    task_manager_available: bool
    active_tasks: int
    completed_tasks: int


class Performance(Answer):
    """What the machine, the process and the background edits use."""

    system: SystemUse
    process: ProcessUse
    async_status: AsyncUse


class SocketEdit(EditRequest):
    """WebSocket: begin an edit; ``id`` names it in every message about it."""

    type: Literal["edit"]
    id: Annotated[str, Field(min_length=1, max_length=ID_CHARS)]


class SocketCancel(Body):
    """WebSocket: give up an edit."""

    type: Literal["cancel"]
    id: Annotated[str, Field(min_length=1, max_length=ID_CHARS)]


SocketMessage = Annotated[SocketEdit | SocketCancel, Field(discriminator="type")]


def edit_answer(chapter: str, story: str, summary: str) -> dict[str, Any]:
    """An ``EditAnswer`` as plain data: it is ours, so it is not validated again."""
    return {"chapterId": chapter, "story": story, "isCustom": True, "summary": summary}
