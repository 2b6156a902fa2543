"""Naming pipelines: the shipped ones and a user's own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.pipelines import PIPELINES, Settings, make_pipeline

MODULE = "harness_test_own"
Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the user's module into the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])

    def written(text: str) -> None:
        (tmp_path / f"{MODULE}.py").write_text(text, encoding="utf-8")

    yield written
    sys.modules.pop(MODULE, None)


def refusal(spec: str) -> str:
    with pytest.raises(InputError) as caught:
        make_pipeline(spec, Settings())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "path", "name", "dispatch"),
    [
        ("class A:\n async def edit(self, s, p): ...\n", "A", f"{MODULE}:A", "tasks"),
        ("class A:\n def edit(self, s, p): ...\n", "A", f"{MODULE}:A", "threads"),
        ("class A:\n name = '내 것'\n def edit(self, s, p): ...\na = A()", "a", "내 것", "threads"),
        ("class A:\n class B:\n  def edit(self, s, p): ...", "A.B", f"{MODULE}:A.B", "threads"),
        ("class A:\n dispatch = 'serial'\n def edit(self, s, p): ...", "A", None, "serial"),
        ("class A:\n dispatch = 'batches'\n async def edit(self, s, p): ...", "A", None, "batches"),
    ],
)
def test_a_users_own(write: Write, text: str, path: str, name: str | None, dispatch: str) -> None:
    write(text)
    pipeline, how = make_pipeline(f"{MODULE}:{path}", Settings())
    assert pipeline.name == (name or f"{MODULE}:{path}")
    assert how == dispatch


def test_an_unknown_name_is_told_the_known_ones() -> None:
    message = refusal("asink")
    assert all(name in message for name in PIPELINES)
    assert "module:object" in message


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        ("def broken(:", "A", "cannot import"),
        ("import no_such_module_at_all", "A", "cannot import"),
        ("raise RuntimeError('no\\nway')", "A", "cannot import"),
        ("import sys; sys.exit(3)", "A", "cannot import"),
        ("x = 1", "A", f"{MODULE} has no A"),
        ("x = 1", "", f"{MODULE} has no "),
        ("x = 1", "x", "has no method edit"),
        ("class A: ...", "A", "has no method edit"),
        ("class A:\n edit = 5", "A", "has no method edit"),
        ("class A:\n def __init__(self, x): ...", "A", "cannot be made without arguments"),
        ("class A:\n def __init__(self): raise ValueError('x')", "A", "cannot be made without"),
        ("class A:\n name = 5\n def edit(self, s, p): ...", "A", "its name must be a text"),
        ("class A:\n name = ' '\n def edit(self, s, p): ...", "A", "its name must be a text"),
        ("class A:\n name = 'a@b'\n def edit(self, s, p): ...", "A", "its name must be a text"),
        (
            "class A:\n __slots__ = ()\n def edit(self, s, p): ...",
            "A",
            "takes no name of its own",
        ),
        ("class A:\n dispatch = 'fast'\n def edit(self, s, p): ...", "A", "its dispatch must be"),
        (
            "class A:\n dispatch = 'serial'\n async def edit(self, s, p): ...",
            "A",
            "its edit is async, so its dispatch cannot be 'serial'",
        ),
    ],
)
def test_what_is_no_pipeline(write: Write, text: str, path: str, why: str) -> None:
    write(text)
    assert why in refusal(f"{MODULE}:{path}")


@pytest.mark.parametrize("spec", [":x", "no_such_module_at_all:x", ".relative:x", "a b:c"])
def test_modules_that_are_not_there(spec: str) -> None:
    assert "cannot import" in refusal(spec)


def test_a_blocking_edit_is_kept_off_the_loop(write: Write) -> None:
    write("class A:\n dispatch = 'tasks'\n def edit(self, s, p): ...")
    with pytest.raises(InputError, match="its edit blocks, so its dispatch cannot be 'tasks'"):
        make_pipeline("harness_test_own:A", Settings())
