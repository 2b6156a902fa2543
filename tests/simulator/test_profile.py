"""Profiles: what a file may say, and the distributions it describes."""

import random
import statistics
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.scenario import shipped_dir
from harness.simulator.profile import Dist, load_profile

GOOD = """
[edit]
ttft_s = { mean = 0.1 }
total_s = { mean = 0.5, cv = 0.2 }
[summary]
ttft_s = { mean = 0.1 }
itl_s = { mean = 0.01, cv = 0.5 }
[answers]
right = 1
"""


def test_a_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    profile = load_profile(str(path))
    assert profile.name == "mine"
    assert profile.edit.total_s == Dist(mean=0.5, cv=0.2)
    assert profile.summary.itl_s == Dist(mean=0.01, cv=0.5)
    assert profile.faults.reset == 0.0


@pytest.mark.parametrize("path", sorted((shipped_dir() / "profiles").glob("*.toml")))
def test_shipped_profiles_load(path: Path) -> None:
    assert load_profile(path.stem).name == path.stem


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("right = 1", "right = 0.9", "answers: right + wrong + malformed + truncated is 0.9"),
        ("right = 1", "right = 1.5", "answers.right: "),
        ("right = 1", "right = -1", "answers.right: "),
        ("right = 1", "right = 1\nrigth = 0", "answers.rigth: unknown key"),
        ("right = 1", "right = 1\n[speed]\nx = 1", "speed: unknown key"),
        ("[answers]\nright = 1", "", "answers: "),
        ("itl_s", "total_s", None),
        ("itl_s = { mean = 0.01, cv = 0.5 }", "", "summary: needs either total_s or itl_s"),
        ("itl_s = {", "total_s = { mean = 1 }\nitl_s = {", "summary: needs either"),
        ("cv = 0.2", "cv = -0.1", "edit.total_s.cv: "),
        ("cv = 0.2", "cv = 9", "edit.total_s.cv: "),
        ("mean = 0.5", "mean = -1", "edit.total_s.mean: "),
        ("mean = 0.5", "mean = inf", "edit.total_s.mean: "),
        ("mean = 0.5", "mean = nan", "edit.total_s.mean: "),
        ("mean = 0.5", "mean = 'fast'", "edit.total_s.mean: "),
        ("right = 1", "right = 1\n[dress]\nfenced = 0.6\nchatty = 0.6", "dress: fenced + wrapped"),
        ("right = 1", "right = 1\n[faults]\nreset = 0.6\nhttp_5xx = 0.6", "faults: the shares"),
        ("right = 1", "right = ", "Invalid value"),
        ("right = 1", f"right = {'9' * 5000}", "4300 digits"),
        ("right = 1", f"right = {'[' * 5000}", ""),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, old: str, new: str, problem: str | None) -> None:
    path = tmp_path / "mine.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    if problem is None:
        assert load_profile(str(path)).summary.total_s is not None
        return
    with pytest.raises(InputError) as caught:
        load_profile(str(path))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: {problem}" if ":" in problem else f"{path}: ")
    assert problem in str(caught.value)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(GOOD.encode() + b"\xff")
    with pytest.raises(InputError, match="utf-8"):
        load_profile(str(path))


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")

    def refuse(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        load_profile(str(path))


@pytest.mark.parametrize("name", ["no-such", "", "no/such.toml", "a\0b"])
def test_a_profile_that_is_not_there(name: str) -> None:
    with pytest.raises(InputError, match=r"no such simulator profile; known are default, "):
        load_profile(name)


@pytest.mark.parametrize(("mean", "cv"), [(6.3, 0.17), (0.5, 1.0), (0.01, 0.0), (0.0, 0.5)])
def test_distributions_have_the_mean_and_the_variation_they_name(mean: float, cv: float) -> None:
    rng = random.Random(1)
    values = [Dist(mean=mean, cv=cv).draw(rng) for _ in range(20_000)]
    assert min(values) >= 0
    assert statistics.fmean(values) == pytest.approx(mean, rel=0.03, abs=0)
    expected = cv * mean
    assert statistics.pstdev(values) == pytest.approx(expected, rel=0.05, abs=1e-12)
