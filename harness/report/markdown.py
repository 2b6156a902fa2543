"""A run as Markdown for a pull request: the verdict first, then the table and what broke."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from harness.plain import plain
from harness.report.comparing.markdown import code, table, text
from harness.report.comparison import Summary, comparison
from harness.report.facts import again, broken_text, caption, simulated_label, unheld
from harness.report.markup import Html
from harness.report.opening import conclusion
from harness.report.table import Cell
from harness.report.words import Words

_BLOCKS = re.compile(r"<(p|li|h3)\b[^>]*>(.*?)</\1>", re.DOTALL)
_TAGS = re.compile(r"<[^>]+>")


def run_markdown(summary: Summary, folder: Path, words: Words) -> str:
    """GitHub-flavoured Markdown that shows text from outside as it is, mentions included."""
    return "\n".join(_parts(summary, folder, words)) + "\n"


def _parts(summary: Summary, folder: Path, words: Words) -> Iterator[str]:
    arms = list(summary["pipelines"])
    label = simulated_label(summary, words)
    yield f"### {text(' · '.join(arms))}" + (f" ({text(label)})" if label else "")
    yield ""
    yield from _sentences(conclusion(summary, folder, words))
    yield ""
    checks = summary["validity"]["checks"]
    broken = [check for check in checks if not check["ok"]]
    yield text(unheld(checks, "validity", words))
    if broken:
        yield ""
        yield from (f"- {text(broken_text(check, words))}" for check in broken)
    yield ""
    head = (words("table.metric"), *arms)
    rows = [
        (
            f"{group.title}: {row.label}" + (f", {row.unit}" if row.unit else ""),
            *(_cell(row.cells.get(arm)) for arm in arms),
        )
        for group in comparison(summary, words)
        if not group.detail
        for row in group.rows
    ]
    yield from table(head, "l" + "r" * len(arms), rows)
    yield ""
    yield text(caption(summary, words))
    yield ""
    yield f"{text(words('terminal.again'))} {code(again(summary))}"


def _sentences(section: Html) -> Iterator[str]:
    """The sentences of a part of the page as a list; the name of a pipeline goes before its own."""
    for name, block in _BLOCKS.findall(section):
        said = text(plain(html.unescape(_TAGS.sub("", block))))
        yield f"- **{said}**" if name == "h3" else f"  {said}" if "<h3" in section else f"- {said}"


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.text is None:
        return f"— {cell.reason or ''}".rstrip()
    return f"{'~ ' if cell.unresolved else ''}{cell.text} {cell.interval or ''}".rstrip()
