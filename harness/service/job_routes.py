"""Background edits over HTTP: submit, look, cancel."""

from typing import Any

from aiohttp import web

from harness.service.answering import answer_json
from harness.service.contract import KEY_HEADER
from harness.service.intake import draw, taken
from harness.service.jobs import Closed, Job
from harness.service.problems import ProblemError, problem, reported
from harness.service.reading import Edit, read_edit
from harness.service.service import JobResult, Service
from harness.service.wire import EditRequest, edit_answer

KEY_CHARS = 200
PIECE_CHARS = 200  # tokens are gathered to this before they go into a job's log


class JobRoutes:
    """``/jobs``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def submit(self, request: web.Request) -> web.Response:
        """202 with a new job; 200 with the one that the Idempotency-Key has already."""
        self._service.check_open()
        key = request.headers.get(KEY_HEADER)
        if key is not None and not 0 < len(key) <= KEY_CHARS:
            why = f"{KEY_HEADER}: must have 1 to {KEY_CHARS} characters"
            raise ProblemError("invalid_request", why)
        body = await taken(request, EditRequest)
        edit, named = read_edit(body), draw(request)

        async def work(job: Job[JobResult]) -> JobResult:
            return await _edited(self._service, job, edit, named)

        try:
            job, created = self._service.jobs.submit(
                work, idempotency_key=key, fingerprint=body.model_dump_json() if key else None
            )
        except Closed:
            self._service.check_open()
            raise
        shown = _shown(self._service, job)
        return answer_json(shown, 202 if created else 200, {"Location": f"/jobs/{job.id}"})

    async def job(self, request: web.Request) -> web.Response:
        return answer_json(_shown(self._service, find(self._service, request)))

    async def cancel(self, request: web.Request) -> web.Response:
        """The state after it: a job that runs has let go of its call before the answer goes out."""
        job = find(self._service, request)
        self._service.jobs.cancel(job.id)
        await job.wait()
        return answer_json(_shown(self._service, job))


def find(service: Service, request: web.Request) -> Job[JobResult]:
    """The job that the path names. Raises ProblemError when there is none (any more)."""
    job = service.jobs.get(request.match_info["id"])
    if job is None:
        raise ProblemError("not_found", "no such job; results are kept for a time only")
    return job


def outcome(job: Job[JobResult]) -> tuple[JobResult | None, dict[str, str] | None]:
    """Result and error of a job, one of them once it has ended."""
    if job.state == "cancelled":
        return None, ProblemError("cancelled", "the job was cancelled").body()
    return job.result, None if job.error is None else problem(job.error).body()


async def _edited(service: Service, job: Job[JobResult], edit: Edit, named: str) -> JobResult:
    """The work of a job; its log gets the text in larger pieces than tokens."""
    pieces: list[str] = []

    def flush() -> None:
        if pieces:
            job.push({"text": "".join(pieces)})
            pieces.clear()

    async def show(text: str) -> None:
        pieces.append(text)
        if sum(map(len, pieces)) >= PIECE_CHARS:
            flush()

    try:
        edited = await service.editor.stream(edit, show, draw=named, patient=True)
    except Exception as error:
        raise reported("a job", error) from None
    flush()
    return edit_answer(edit.id, edited.story, edited.summary)


def _shown(service: Service, job: Job[JobResult]) -> dict[str, Any]:
    """The job as ``wire.JobAnswer``."""
    result, error = outcome(job)
    return {
        "id": job.id,
        "state": job.state,
        "created": service.wall(job.created),
        "started": service.wall(job.started),
        "finished": service.wall(job.finished),
        "result": result,
        "error": error,
    }
