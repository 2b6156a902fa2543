"""Records → ``summary.json`` and ``index.html`` in the run's folder."""

from pathlib import Path
from typing import Any

from harness.store import dump, read_run, write_atomically
from harness.summary import summarise

SUMMARY = "summary.json"
PAGE = "index.html"


def publish(folder: Path, lang: str) -> dict[str, Any]:
    """Write both files; the summary. Raises InputError when the folder holds no run."""
    from harness.report.html import page

    run = read_run(folder)
    summary = summarise(run)
    write_atomically(folder / SUMMARY, dump(summary))
    write_atomically(folder / PAGE, page(run, summary, lang).encode())
    return summary
