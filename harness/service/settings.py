"""The options of ``harness serve``, checked."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class ServiceSettings(BaseModel):
    """What a service may do at most. Times are seconds.

    ``concurrency`` is the most that the adaptive limit of edits in flight may reach (1: no more
    than one, ever); ``threads`` bounds the edits of the blocking route; ``queue`` those that wait,
    for either. ``cache`` is how many answers are kept, 0 none, each for ``cache_keep``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    threads: Annotated[int, Field(ge=1, le=1_000)] = 8
    queue: Annotated[int, Field(ge=0, le=100_000)] = 256
    deadline: Seconds = 120.0
    grace: Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)] = 10.0
    cache: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    cache_keep: Seconds = 3600.0
    jobs: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    jobs_keep: Seconds = 3600.0
    summary: bool = True
    constrained: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
