"""Recorded runs → their reports, in the folder of the run, or of the last one compared."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from harness.comparing import Result, compare_runs
from harness.errors import InputError
from harness.report.comparing.markdown import markdown
from harness.report.searched import CAPACITY
from harness.report.words import Words, language
from harness.store import MANIFEST, dump, read_manifest, write_atomically
from harness.summary import summarise
from harness.trials import Recorded, read_columns

SUMMARY = "summary.json"
PAGE = "index.html"


Format = Literal["html", "md", "ipynb"]


def report(folders: Sequence[Path], format_: Format, lang: str) -> Path:
    """Write the report of one run, or of several against the first; where it is.

    Raises InputError when a folder holds no run.
    """
    if format_ == "html" and len(folders) == 1:
        publish(folders[0], lang)
        return folders[0] / PAGE
    stem = "report" if len(folders) == 1 else "comparison"
    make: dict[Format, Callable[[Sequence[Path], str], str]] = {
        "html": _compared_page,
        "md": _markdown,
        "ipynb": _notebook,
    }
    path = folders[-1] / f"{stem}.{format_}"
    write_atomically(path, make[format_](folders, lang).encode())
    return path


def _compare(folders: Sequence[Path]) -> list[Result]:
    """Each run against the first."""
    first = read_columns(folders[0])
    return [compare_runs(first, read_columns(folder)) for folder in folders[1:]]


def _compared_page(folders: Sequence[Path], lang: str) -> str:
    from harness.report.comparing.page import comparison_page

    return comparison_page(_compare(folders), lang)


def _markdown(folders: Sequence[Path], lang: str) -> str:
    words = Words(language(lang))
    if len(folders) > 1:
        return "\n".join(markdown(result, words) for result in _compare(folders))
    from harness.report.markdown import run_markdown

    return run_markdown(summary_of(folders[0])[1], folders[0], words)


def _notebook(folders: Sequence[Path], lang: str) -> str:
    from harness.report.notebook import notebook

    for folder in folders:
        read_manifest(folder)
    return notebook(folders, Words(language(lang)))


def publish(folder: Path, lang: str) -> dict[str, Any]:
    """Write both files; the summary. Of a search for capacity only the page; its figures.

    Raises InputError when the folder holds neither.
    """
    from harness.report.html import page

    if (folder / CAPACITY).exists() and not (folder / MANIFEST).exists():
        return _publish_search(folder, lang)
    run, summary = summary_of(folder)
    write_atomically(folder / SUMMARY, dump(summary))
    write_atomically(folder / PAGE, page(run, summary, lang).encode())
    return summary


def summary_of(folder: Path) -> tuple[Recorded, dict[str, Any]]:
    """A run and its figures. Raises InputError."""
    run = read_columns(folder)
    return run, summarise(run)


def _publish_search(folder: Path, lang: str) -> dict[str, Any]:
    from harness.report.capacity import capacity_page

    found: dict[str, Any] = orjson.loads((folder / CAPACITY).read_bytes())
    if "run" not in found:
        raise InputError(
            f"{folder / CAPACITY}: an earlier version made it, and did not keep what a page needs; "
            "its steps can be reported one by one"
        )
    write_atomically(folder / PAGE, capacity_page(found, folder, lang).encode())
    return found
