"""Async code from synchronous code: without a loop, inside one, from threads, in a notebook."""

import asyncio
import contextvars
import inspect
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import nbformat
import pytest
import uvloop
from nbclient import NotebookClient

import harness
from harness import run_sync
from harness.clock import on_thread

CALLER: contextvars.ContextVar[str] = contextvars.ContextVar("CALLER", default="nobody")

Call = Callable[[Coroutine[Any, Any, Any]], Any]


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def inside_a_loop(body: Callable[[], Any]) -> Any:
    """``body`` called by a coroutine, so that a loop is running on this thread meanwhile."""

    async def main() -> Any:
        return body()

    return asyncio.run(main())


def outside(body: Callable[[], Any]) -> Any:
    return body()


def inside_uvloop(body: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return body()

    return uvloop.run(main())


def from_a_thread(body: Callable[[], Any]) -> Any:
    async def main() -> Any:
        context = contextvars.copy_context()
        return await on_thread(lambda: context.run(body))

    return asyncio.run(main())


everywhere = pytest.mark.parametrize(
    "where",
    [outside, inside_a_loop, inside_uvloop, from_a_thread],
    ids=lambda where: where.__name__,
)


@everywhere
def test_it_gives_the_result(where: Any) -> None:
    assert where(lambda: run_sync(answer())) == 42


@everywhere
def test_it_can_be_nested(where: Any) -> None:
    async def outer() -> int:
        async def inner() -> int:
            return run_sync(answer()) + 1

        return run_sync(inner()) + 1

    assert where(lambda: run_sync(outer())) == 44


@everywhere
def test_it_can_be_called_again_and_leaves_no_thread_and_no_loop(where: Any) -> None:
    loops = []

    async def note() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))

    def body() -> None:
        before = set(threading.enumerate())  # one of a former test may be about to end
        for _ in range(3):
            run_sync(note())
        assert set(threading.enumerate()) <= before

    where(body)
    loops_left = [loop() for loop in loops]
    assert all(loop is None or loop.is_closed() for loop in loops_left)


def test_without_a_loop_it_runs_on_this_thread() -> None:
    async def thread() -> int:
        return threading.get_ident()

    assert run_sync(thread()) == threading.get_ident()
    assert inside_a_loop(lambda: run_sync(thread())) != threading.get_ident()


def test_a_loop_that_is_set_but_not_running_stays_set() -> None:
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        assert run_sync(answer()) == 42
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@everywhere
def test_the_coroutine_sees_the_callers_context(where: Any) -> None:
    async def who() -> str:
        seen = CALLER.get()
        CALLER.set("the coroutine")
        return seen

    def body() -> None:
        CALLER.set("me")
        assert run_sync(who()) == "me"
        assert CALLER.get() == "me"  # and what it sets is its own

    contextvars.copy_context().run(where, body)


class TroubleError(Exception):
    pass


@everywhere
def test_an_exception_comes_out_as_it_is_with_its_traceback(where: Any) -> None:
    error = TroubleError("deep down")

    async def deep() -> None:
        await asyncio.sleep(0)
        raise error

    def body() -> None:
        with pytest.raises(TroubleError) as caught:
            run_sync(deep())
        assert caught.value is error
        assert error.__cause__ is error.__context__ is None
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert frames[-1] == "deep"
        assert "run_sync" in frames

    where(body)


@everywhere
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_even_the_exceptions_that_end_programs(where: Any, error: BaseException) -> None:
    async def ends() -> None:
        raise error

    def body() -> None:
        with pytest.raises(type(error)):
            run_sync(ends())

    where(body)


@everywhere
def test_after_the_time_out_the_coroutine_is_cancelled_and_waited_for(where: Any) -> None:
    tidied = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied.append(True)

    def body() -> None:
        with pytest.raises(TimeoutError):
            run_sync(endless(), timeout=0.01)
        assert tidied == [True]

    where(body)


@everywhere
def test_a_time_out_that_is_not_needed_does_nothing(where: Any) -> None:
    assert where(lambda: run_sync(answer(), timeout=60.0)) == 42


@everywhere
def test_the_coroutines_own_time_out_is_its_own(where: Any) -> None:
    async def own() -> str:
        try:
            async with asyncio.timeout(0.0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "own"
        raise AssertionError

    assert where(lambda: run_sync(own(), timeout=60.0)) == "own"


@everywhere
def test_tasks_that_the_coroutine_leaves_are_cancelled(where: Any) -> None:
    ended = []

    async def left() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def leaves() -> None:
        asyncio.get_running_loop().left = asyncio.create_task(left())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    where(lambda: run_sync(leaves()))
    assert ended == [True]


@pytest.mark.parametrize("wrong", [answer, 42, None])
def test_what_is_no_coroutine_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="takes a coroutine"):
        run_sync(wrong)


def test_a_coroutine_for_which_there_is_no_thread_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    coroutine = answer()

    def body() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            with pytest.raises(RuntimeError, match="new thread"):
                run_sync(coroutine)

    inside_a_loop(body)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_the_package_exports_it_without_loading_asyncio() -> None:
    code = "import sys, harness; print('asyncio' in sys.modules, harness.run_sync.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", "harness.sync_bridge"]
    with pytest.raises(AttributeError, match="no attribute 'run_async'"):
        harness.run_async  # noqa: B018


# --- Ctrl-C ---

CHILD = """
    import asyncio, signal, sys
    from harness import run_sync

    async def endless():
        try:
            print("begun", flush=True)
            await asyncio.Event().wait()
        finally:
            print("tidying", flush=True)
            await {tidying}
            print("tidied", flush=True)

    def body():
        try:
            run_sync(endless())
        except KeyboardInterrupt:
            print("interrupted", flush=True)

    async def main():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a notebook's kernel
        body()

    {call}
"""


def child(call: str, tidying: str) -> "subprocess.Popen[str]":
    """A process in which ``run_sync`` has begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD).format(call=call, tidying=tidying)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "tidying\n"
    return process


interruptible = pytest.mark.skipif(sys.platform == "win32", reason="a child gets no SIGINT there")
both_ways = pytest.mark.parametrize("call", ["body()", "asyncio.run(main())"])


@interruptible
@both_ways
def test_ctrl_c_cancels_the_coroutine_and_waits_for_its_end(call: str) -> None:
    process = child(call, "asyncio.sleep(0.01)")
    out, err = process.communicate(timeout=60)
    assert (out.splitlines(), err, process.returncode) == (["tidied", "interrupted"], "", 0)


@interruptible
@both_ways
def test_a_second_ctrl_c_does_not_wait_for_its_end(call: str) -> None:
    process = child(call, "asyncio.Event().wait()")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out.splitlines(), err, process.returncode) == (["interrupted"], "", 0)


# --- a notebook ---


def test_it_works_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))  # no kernels of the user's
    cells = [
        """
        import asyncio
        from harness import run_sync
        asyncio.get_running_loop()  # a kernel always has one

        async def answer():
            await asyncio.sleep(0.01)
            return 42
        run_sync(answer())
        """,
        """
        async def fails():
            raise ValueError("no")
        try:
            run_sync(fails())
        except ValueError as error:
            print("raised", error)
        try:
            run_sync(asyncio.sleep(60), timeout=0.01)
        except TimeoutError:
            print("timed out")
        """,
        "await answer()  # the kernel's own loop is as it was",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells]
    )
    NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(Path(harness.__file__).parents[1])}},
    ).execute()
    shown = [
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.outputs
    ]
    assert shown == ["42", "raised no\ntimed out\n", "42"]
