"""A run's folder under every way of dying: killed, full disk, a second writer, a wrong folder."""

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.records import Answer, BlockRecord, TrialRecord
from harness.store import (
    ANSWERS,
    BLOCKS,
    LINES,
    MANIFEST,
    RECORDS,
    RunWriter,
    read_answers,
    read_manifest,
    read_run,
)
from tests.runs import answers, count_lines, manifest
from tests.stats.build import trial

TRIALS = [trial("base"), trial("cand"), trial("base", scenario="s2")]
BLOCK_1 = BlockRecord(1, "base", 0, 1, 0, False, 0.0, 1.0, 1, 0.1, 50.0, 1, 0, (0.001,))
BLOCK_2 = BlockRecord(1, "cand", 0, 1, 1, False, 1.0, 2.0, 1, 0.1, None, None, None, ())


def make(folder: Path, records: Sequence[TrialRecord] = TRIALS) -> Path:
    """A run with these records, their answers, and two blocks."""
    with RunWriter.create(folder, manifest()) as writer:
        for record in records:
            writer.append(record, answers(record))
        writer.append_block(BLOCK_1)
        writer.append_block(BLOCK_2)
    return folder


def answers_of(records: Sequence[TrialRecord]) -> list[Answer]:
    return [answer for record in records for answer in answers(record)]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = read_run(make(tmp_path / "new" / "run"))
    assert run.records == TRIALS
    assert run.blocks == [BLOCK_1, BLOCK_2]
    assert run.manifest == manifest()
    assert read_answers(run.folder) == answers_of(TRIALS)


def test_a_trial_is_kept_when_append_returns(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, manifest()) as writer:
        for count, record in enumerate(TRIALS, start=1):
            writer.append(record, ())
            assert len(read_run(tmp_path).records) == count


def test_a_run_without_records_is_empty(tmp_path: Path) -> None:
    RunWriter.create(tmp_path, manifest()).close()
    assert read_run(tmp_path).records == []
    assert read_run(tmp_path).blocks == []
    assert read_answers(tmp_path) == []


# --- torn lines ---


def check_mended(folder: Path) -> None:
    """Resume, do again what is lost, and find everything exactly once."""
    before = [record for record in TRIALS if record in read_run(folder).records]
    with RunWriter.resume(folder) as writer:
        run = read_run(folder)
        assert run.records == before == TRIALS[: len(before)]
        had = read_answers(folder)
        assert had == answers_of(before)[: len(had)]
        for record in TRIALS[len(before) :]:
            writer.append(record, answers(record))
        for block in (BLOCK_1, BLOCK_2)[len(run.blocks) :]:
            writer.append_block(block)
    run = read_run(folder)
    assert run.records == TRIALS
    assert run.blocks == [BLOCK_1, BLOCK_2]


@pytest.mark.parametrize("name", LINES)
def test_a_torn_last_line_is_mended_at_every_byte(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path, TRIALS[:2])
    whole = {each: (folder / each).read_bytes() for each in LINES}
    for size in range(len(whole[name])):
        (folder / ANSWERS).write_bytes(whole[ANSWERS])
        (folder / name).write_bytes(whole[name][:size])
        RunWriter.resume(folder).close()
        expected = {**whole, name: whole[name][: whole[name].rfind(b"\n", 0, size) + 1]}
        if name == RECORDS:  # the answers go with their records, to be asked for again
            lines = 2 * expected[RECORDS].count(b"\n")
            expected[ANSWERS] = b"".join(whole[ANSWERS].splitlines(keepends=True)[:lines])
        assert {each: (folder / each).read_bytes() for each in LINES} == expected


@given(st.data())
def test_several_files_torn_at_once(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = make(Path(name))
        for each in LINES:
            size = (folder / each).stat().st_size
            os.truncate(folder / each, data.draw(st.integers(0, size), label=each))
        check_mended(folder)


def test_a_long_torn_line_is_cut_off(tmp_path: Path) -> None:
    folder = make(tmp_path)
    whole = (folder / ANSWERS).read_bytes()
    with (folder / ANSWERS).open("ab") as file:
        file.write(b'{"text":"' + b"x" * 200_000)
    RunWriter.resume(folder).close()
    assert (folder / ANSWERS).read_bytes() == whole


def test_a_file_of_one_torn_line_is_emptied(tmp_path: Path) -> None:
    folder = make(tmp_path, TRIALS[:1])
    os.truncate(folder / RECORDS, 10)
    RunWriter.resume(folder).close()
    for name in (RECORDS, ANSWERS):  # the answers have no record any more
        assert (folder / name).read_bytes() == b""


def test_answers_without_a_record_are_dropped(tmp_path: Path) -> None:
    folder = make(tmp_path, TRIALS[:2])
    with (folder / ANSWERS).open("a", encoding="utf-8") as file:
        file.write('{"trial":"lost","attempt":0,"call":"edit","text":"첫"}\n')
        file.write('{"trial":"lost","attempt":1,"call":"summary","text":"둘"}\n')
    RunWriter.resume(folder).close()
    assert read_answers(folder) == answers_of(TRIALS[:2])


# --- whose folder it is ---


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "run")
    with RunWriter.resume(tmp_path / "run"):
        with pytest.raises(InputError, match="another process is writing this run"):
            RunWriter.resume(tmp_path / "run")
        with pytest.raises(InputError, match="another process is writing this run"):
            RunWriter.create(tmp_path / "run", manifest())
    RunWriter.resume(tmp_path / "run").close()


@pytest.mark.parametrize("name", [*LINES, MANIFEST])
def test_a_folder_with_another_run_is_refused(tmp_path: Path, name: str) -> None:
    """Any file of a run is enough, so that nothing is ever appended to another's."""
    source = make(tmp_path / "source")
    (tmp_path / "run").mkdir()
    shutil.copy(source / name, tmp_path / "run")
    with pytest.raises(InputError, match="holds another run; give another --out"):
        RunWriter.create(tmp_path / "run", manifest(status="new"))
    assert (tmp_path / "run" / name).read_bytes() == (source / name).read_bytes()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 99}'])
def test_a_manifest_of_another_kind_is_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content, "utf-8")
    with pytest.raises(InputError, match="holds another run"):
        RunWriter.create(tmp_path, manifest())
    assert (tmp_path / MANIFEST).read_text("utf-8") == content


def test_a_run_that_never_began_may_be_replaced(tmp_path: Path) -> None:
    RunWriter.create(tmp_path, manifest(segments=[], command="wrong provider")).close()
    RunWriter.create(tmp_path, manifest(command="right provider")).close()
    assert read_manifest(tmp_path)["command"] == "right provider"


def test_a_refusal_leaves_the_folder_unlocked(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match="holds another run"):
        RunWriter.create(tmp_path, manifest())
    (tmp_path / RECORDS).write_text("damage\n", "utf-8")
    with pytest.raises(InputError, match="line 1: not a record"):
        RunWriter.resume(tmp_path)
    (tmp_path / RECORDS).write_text("", "utf-8")
    RunWriter.resume(tmp_path).close()


@pytest.mark.parametrize("place", ["/proc/no/such/run", "/dev/null/run"])
def test_a_place_that_cannot_be_written(place: str) -> None:
    with pytest.raises(InputError, match=rf"^{place}: cannot be written: [A-Z][a-z ]+$"):
        RunWriter.create(Path(place), manifest())


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "run"
    file.touch()
    with pytest.raises(InputError, match=r"run: is not a folder; give another --out$"):
        RunWriter.create(file, manifest())
    with pytest.raises(InputError, match="Not a directory"):
        read_run(file)


def test_no_run_to_read_or_resume(tmp_path: Path) -> None:
    for read in (read_run, RunWriter.resume):
        with pytest.raises(InputError, match=r"holds no run \(run.json is missing\)"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "run.json: .*unexpected end of data|run.json: .*empty"),
        ("[]", "schema: is None, this version reads 1"),
        ('{"schema": 2}', "schema: is 2, this version reads 1"),
        ('{"schema": 1, "status": "complete"}', "command: is missing"),
    ],
)
def test_a_manifest_that_cannot_be_read(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / MANIFEST).write_text(content, "utf-8")
    with pytest.raises(InputError, match=why):
        read_run(tmp_path)


# --- full disk ---


@pytest.mark.parametrize("room", [0, 1, 100, 300, 700, 1000, 1200])
def test_a_full_disk_keeps_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """After ``room`` bytes, one write stores what still fits and the next one fails."""
    left = room
    really = os.write

    def write(handle: int, data: memoryview) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        stored = really(handle, data[:left])
        left -= stored
        return stored

    done: list[TrialRecord] = []

    def work(writer: RunWriter) -> None:
        for record in TRIALS:
            writer.append(record, answers(record))
            done.append(record)

    with RunWriter.create(tmp_path, manifest()) as writer:
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(InputError) as refused:
            work(writer)
        left = 10**6  # room again: this writer still keeps its hands off the torn line
        for _ in range(2):
            with pytest.raises(InputError, match="No space left on device"):
                writer.append(TRIALS[-1], ())
        with pytest.raises(InputError, match="No space left on device"):
            writer.append_block(BLOCK_1)
    assert read_run(tmp_path).records == done
    message = str(refused.value)
    assert message.startswith(str(tmp_path))
    assert message.endswith(f"go on with --resume --out {tmp_path}")
    check_mended(tmp_path)


def test_a_manifest_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunWriter.create(tmp_path, manifest()) as writer:
        writer.manifest["status"] = "interrupted"
        with monkeypatch.context() as patch:

            def replace(self: Path, target: Path) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(Path, "replace", replace)
            with pytest.raises(InputError, match=r"run\.json: cannot be written: No space left"):
                writer.save_manifest()
        assert read_manifest(tmp_path)["status"] == "complete"
        writer.save_manifest()
    assert read_manifest(tmp_path)["status"] == "interrupted"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", MANIFEST]


def test_lines_are_counted_as_the_kernel_has_them(tmp_path: Path) -> None:
    folder = make(tmp_path)
    assert [count_lines(folder / name) for name in LINES] == [3, 2, 6]
    assert count_lines(folder / BLOCKS) == len(read_run(folder).blocks)
