"""What every exhibit of a page is drawn from: figures, trials, words and the look of each arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.comparison import Summary
from harness.report.facts import simulated_label
from harness.report.figures.canvas import Look, looks
from harness.report.markup import Html, tag
from harness.report.tables import plain_table
from harness.report.words import Words
from harness.trials import Recorded, Trials


@dataclass(frozen=True)
class Scene:
    """One run, as its figures show it."""

    summary: Summary
    run: Recorded
    words: Words

    @property
    def trials(self) -> Trials:
        return self.run.trials

    @property
    def arms(self) -> list[str]:
        return list(self.summary["pipelines"])

    @property
    def baseline(self) -> str:
        name: str = self.summary["run"]["baseline"]
        return name

    @property
    def looks(self) -> dict[str, Look]:
        return looks(self.arms, self.baseline)

    @property
    def names(self) -> dict[str, str]:
        """What the arms are called: the second run of the baseline says that it is one."""
        again = f"{self.baseline}@aa"
        name = self.words("label.aa", baseline=self.baseline)
        return {arm: name if arm == again else arm for arm in self.arms}

    def timed(self, text: str) -> str:
        """The title of an axis of times, with the label of a simulated run."""
        label = simulated_label(self.summary, self.words)
        return f"{text} ({label})" if label else text

    def exhibit(
        self,
        ident: str,
        title: str,
        svg: Html | None,
        text: str,
        missing: str,
        head: Sequence[str],
        rows: Sequence[Sequence[object]],
    ) -> Html:
        """A figure with its caption and table; without a drawing, the reason why."""
        return exhibit(ident, title, svg, text, missing, plain_table(head, rows, self.words, title))


def exhibit(
    ident: str, title: str, svg: Html | None, text: str, missing: str, table: Html | None
) -> Html:
    """A figure with its caption and table; without a drawing, the reason why."""
    heading = tag("h3", title, id=f"{ident}-title")
    if svg is None:
        return tag("figure", heading, tag("p", missing, class_="missing"), id=ident)
    return tag(
        "figure",
        heading,
        tag("figcaption", text),
        tag("div", svg, class_="drawing"),
        table,
        id=ident,
        aria_labelledby=f"{ident}-title",
    )
