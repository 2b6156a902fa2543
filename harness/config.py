"""The configuration of a run: every option of ``harness run``, checked; kept in the manifest."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from harness.errors import InputError
from harness.scenario import describe
from harness.workload import Workload

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _workload(text: str) -> str:
    try:
        Workload.parse(text)
    except InputError as error:
        raise ValueError(str(error)) from error
    return text


WorkloadText = Annotated[str, AfterValidator(_workload)]
"""A workload as ``--workload`` takes it."""


class RunConfig(BaseModel):
    """What a run is made of. Times are seconds, rates are per second.

    ``batch_size`` None is the concurrency; ``group`` None is 4 × the concurrency, 1 at 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenarios: list[str]
    pipelines: Annotated[list[str], Field(min_length=1)] = ["sync", "async", "batched"]
    provider: str = "sim"
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 4
    batch_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    group: Annotated[int, Field(ge=1, le=100_000)] | None = None
    workload: WorkloadText = "closed"
    repeats: Annotated[int, Field(ge=1, le=100_000)] = 3
    warmup: Annotated[int, Field(ge=0, le=1000)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    time_scale: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.0
    summary: bool = True
    constrained: bool = False
    aa: bool = False
    rate_limit: Annotated[float, Field(ge=0.01, le=100_000, allow_inf_nan=False)] | None = None
    target: Positive | None = None
    timeout: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 300.0
    model: str | None = None

    @property
    def slots_per_batch(self) -> int:
        return self.batch_size or self.concurrency

    @property
    def block_size(self) -> int:
        """Scenarios in a block."""
        if self.group is not None:
            return self.group
        return 1 if self.concurrency == 1 else 4 * self.concurrency

    @property
    def arms(self) -> list[str]:
        """The pipelines by the names they are asked for, with the baseline's A/A arm if any."""
        if not self.aa or f"{self.pipelines[0]}@aa" in self.pipelines:
            return list(self.pipelines)
        return [self.pipelines[0], f"{self.pipelines[0]}@aa", *self.pipelines[1:]]


def make_config(values: dict[str, Any]) -> RunConfig:
    """A checked configuration. Raises InputError naming the option and what it must be."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        text = describe(error)
        key, _, why = text.partition(": ")
        option = key.split("[")[0].replace("_", "-")
        raise InputError(why if why.startswith("--") else f"--{option}: {why}") from error
