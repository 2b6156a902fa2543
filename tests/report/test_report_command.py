"""``harness report``: one run or several, as page, Markdown or notebook."""

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.report.markdown import run_markdown
from harness.report.publish import summary_of
from harness.report.words import LANGS, Lang, Words
from tests.report.build import SCRIPT, whole
from tests.report.golden import same_as_golden


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("runs")
    return [str(whole(folder / name, arms=("sync", "async")).folder) for name in ("a", "b", "c")]


@pytest.mark.parametrize(
    ("count", "format_", "name"),
    [
        (1, "html", "index.html"),
        (1, "md", "report.md"),
        (1, "ipynb", "report.ipynb"),
        (3, "html", "comparison.html"),
        (2, "md", "comparison.md"),
        (2, "ipynb", "comparison.ipynb"),
    ],
)
def test_every_format(
    runs: list[str], count: int, format_: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *runs[:count], "--format", format_, "--lang", "ko"]) == 0
    path = Path(runs[count - 1]) / name
    assert capsys.readouterr().out.strip() == str(path)
    text = path.read_text("utf-8")
    assert any("가" <= char <= "힣" for char in text)
    if count == 3:
        assert text.count('id="comparison-') == 2


def test_json_is_of_one_page(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", runs[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1
    assert main(["report", *runs, "--json"]) == 2
    assert "--json" in capsys.readouterr().err


@pytest.mark.parametrize("format_", ["html", "md", "ipynb"])
def test_a_folder_without_a_run(
    tmp_path: Path, format_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path), "--format", format_]) == 2
    assert "holds no run" in capsys.readouterr().err


@pytest.mark.parametrize("lang", LANGS)
def test_markdown_is_the_golden_one(tmp_path: Path, lang: Lang) -> None:
    run = whole(tmp_path / "run", arms=("sync", "async", "batched"))
    text = run_markdown(summary_of(run.folder)[1], Path("reports/run"), Words(lang))
    assert SCRIPT not in text
    same_as_golden(text, f"report-{lang}.md")


def test_a_notebook_executes(runs: list[str]) -> None:
    import nbformat
    from nbclient import NotebookClient

    for count in (1, 2):
        main(["report", *runs[:count], "--format", "ipynb"])
        name = "report.ipynb" if count == 1 else "comparison.ipynb"
        notebook = nbformat.from_dict(json.loads((Path(runs[count - 1]) / name).read_text("utf-8")))
        nbformat.validate(notebook)
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
