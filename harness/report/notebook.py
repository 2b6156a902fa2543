"""A notebook for given runs: reads their records through the package, and draws what they show."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.report.words import Words

_SETUP = """\
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from harness.report.notebook import hangul
from harness.stats.sample import pairs, sample
from harness.summary import summarise
from harness.trials import read_columns

hangul()
runs = {{name: read_columns(Path(name)) for name in {folders}}}
summaries = {{name: summarise(run) for name, run in runs.items()}}
for name, summary in summaries.items():
    run = summary["run"]
    times = f"simulated, × {{run['time_scale']:g}}" if run["simulated"] else "real"
    print(name, "·", times, "· valid" if summary["validity"]["valid"] else "· NOT VALID")"""

_TABLE = """\
rows = [
    {"run": name, "pipeline": arm, **found["outcomes"], "n": times["n"],
     "mean": times["mean"],
     **{p: times[p] if times["ci95"][p] else None for p in ("p50", "p95", "p99")}}
    for name, summary in summaries.items()
    for arm, found in summary["pipelines"].items()
    if (times := found["response_time_s"])
]
pd.DataFrame(rows)"""

_COMPARED = """\
columns = ["baseline", "candidate", "estimand", "change_percent", "ci95", "n", "warnings"]
for name, summary in summaries.items():
    if summary["comparisons"]:
        display(pd.DataFrame(summary["comparisons"])[columns])"""

_SPREAD = """\
samples = {
    f"{name}: {arm}": sample(run.trials, arm).values
    for name, run in runs.items() for arm in run.manifest["arms"]
}
samples = {name: values for name, values in samples.items() if values.size}
fig, ax = plt.subplots(figsize=(9, 4))
for name, values in samples.items():
    ax.ecdf(values, label=f"{name}, n = {values.size}")
ax.set(xlabel="response time, s", ylabel="share of answered trials")
if samples:
    ax.legend()"""

_PAIRS = """\
fig, ax = plt.subplots(figsize=(9, 3))
for name, run in runs.items():
    baseline, *others = run.manifest["arms"]
    for arm in others:
        found = pairs(run.trials, baseline, arm)
        if found.n:
            change = 100 * (found.candidate / found.baseline - 1)
            ax.hist(change, bins=40, histtype="step", label=f"{name}: {arm} against {baseline}")
ax.axvline(0, color="grey")
ax.set(xlabel="change of a pair, %", ylabel="pairs")
if ax.get_legend_handles_labels()[0]:
    ax.legend()"""

_CHECKS = """\
pd.DataFrame(
    {"run": name, **check} for name, summary in summaries.items()
    for check in summary["validity"]["checks"]
)"""


def notebook(folders: Sequence[Path], words: Words) -> str:
    """The notebook as JSON (nbformat 4.5), without outputs."""
    names = [str(folder.resolve()) for folder in folders]
    title = "# " + ", ".join(f"`{folder.name}`" for folder in folders)
    cells = [
        _markdown(f"{title}\n\n{words('notebook.about')}"),
        _code(_SETUP.format(folders=json.dumps(names, ensure_ascii=False))),
        *(
            cell
            for key, code in (
                ("validity", _CHECKS),
                ("table", _TABLE),
                ("compared", _COMPARED),
                ("spread", _SPREAD),
                ("pairs", _PAIRS),
            )
            for cell in (_markdown(words(f"notebook.{key}")), _code(code))
        ),
    ]
    for i, cell in enumerate(cells):
        cell["id"] = hashlib.sha256(f"{i}{cell['source']}".encode()).hexdigest()[:8]
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    whole = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def hangul() -> None:
    """Let matplotlib draw Hangul, with the fonts that come with the package."""
    import matplotlib as mpl

    from harness.report.figures.canvas import font_families

    mpl.rcParams["font.family"] = font_families()
    mpl.rcParams["axes.unicode_minus"] = True


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": text,
    }
