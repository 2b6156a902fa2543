"""The notebooks run from top to bottom, and are stored without results."""

import ast
import re
from pathlib import Path
from typing import Any, get_args

import nbformat
import pytest
from nbclient import NotebookClient

from harness.claims import VerdictName

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CLAIM = "claim-15-percent"
FIGURES = {
    CLAIM: 2,
    "quick-start": 2,
    "concurrency-and-capacity": 2,
    "quality-against-speed": 3,
    "load-test-with-locust": 1,
}
SHORT = 140  # lines of code: what is longer belongs into the package
SHOWS = ("plt.show()", ".set_caption(")
HANGUL = re.compile("[가-힣]")


def read(path: Path) -> Any:  # nbformat has no types
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any, mime: str) -> list[str]:
    """What the cells displayed as ``mime``, in order."""
    return [
        output.data[mime]
        for cell in code_cells(notebook)
        for output in cell.outputs
        if mime in output.get("data", {})
    ]


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} == FIGURES.keys()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_simulated_says_so(path: Path) -> None:
    notebook = read(path)
    assert "simulated" in notebook.cells[0].source
    assert "시뮬레이션" in notebook.cells[0].source
    if path.stem != CLAIM:
        for cell in code_cells(notebook):
            if any(text in cell.source for text in SHOWS):
                assert "SIMULATED" in cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_figures_come_with_what_to_look_for(path: Path) -> None:
    notebook = read(path)
    if path.stem != CLAIM:
        assert sum(len(cell.source.splitlines()) for cell in code_cells(notebook)) <= SHORT
        before = ""
        for cell in notebook.cells:
            if "plt.show()" in cell.source:
                assert "**Look at**" in before
                assert HANGUL.search(cell.source)
            before = cell.source if cell.cell_type == "markdown" else before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_valid_and_without_results(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert [cell.id for cell in code_cells(notebook) if cell.outputs] == []
    assert {cell.execution_count for cell in code_cells(notebook)} == {None}


@pytest.mark.timeout(400)  # a minute on a free machine
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what it records is removed with the test's own
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))  # no kernels of the user's
    notebook = read(path)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()  # raises on a cell's error
    warned = [
        output.text
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]
    assert warned == []
    assert len(outputs(notebook, "image/png")) == FIGURES[path.stem]
    if path.stem == CLAIM:
        check_claim(notebook)


def check_claim(notebook: Any) -> None:
    """The results that the text relies on; a busy machine may make any verdict an invalid run."""
    verdicts = ast.literal_eval(outputs(notebook, "text/plain")[-1])
    assert list(verdicts) == ["5 %", "15 %", "30 %"]
    assert set(verdicts.values()) <= set(get_args(VerdictName))
    said = "\n".join(outputs(notebook, "text/markdown"))
    assert "**0.975**, 95 % interval **0.17 to 5.53**" in said
    assert "calls that vary by **9.8 %**" in said
    assert "there **12 % to 35 %** of the time" in said
    assert said.count("measured: async against sync") == len(verdicts)
    assert said.count("측정: sync 대비 async") == len(verdicts)
