"""Each figure with its title, what it shows, and its data as a table."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from harness.records import ANSWERED, OUTCOMES
from harness.report import digits
from harness.report.comparison import Summary, candidates, change_figure, of_routes
from harness.report.figures.checks import MOST_ROWS, checks_figure
from harness.report.figures.effect import Effect, effect_figure
from harness.report.figures.outcomes import outcomes_figure
from harness.report.figures.spread import Spread, spread_figure
from harness.report.figures.tail import LEAST_BEYOND, LEAST_N, tail_curve, tail_figure
from harness.report.figures.timeline import (
    MOST_BARS,
    MOST_LANES,
    representative_block,
    stretches,
    timeline_figure,
)
from harness.report.markup import Html
from harness.report.more_exhibits import over_time, pairs
from harness.report.scene import Scene
from harness.report.table import Cell, Figure, bounds, change, measured, pointer
from harness.stats import serial
from harness.stats.estimate import Estimate, quantile
from harness.stats.sample import Floats, sample

MOST_TIMELINE_ROWS = 200


class Exhibits(Scene):
    """Draws the figures of one run."""

    def all(self) -> Html:
        """Every figure, in the order of the page."""
        compared = [self.effect(), pairs(self)] if candidates(self.summary) else []
        times = [self.spread(), self.tail(), over_time(self)]
        if not of_routes(self.summary):  # whose blocks are a route each
            times.append(self.timeline())
        return Html("".join([*compared, *times, self.outcomes(), self.checks()]))

    def effect(self) -> Html:
        words, found = self.words, candidates(self.summary)
        known = {row["estimand"] for row in self.summary["comparisons"]}
        metrics = {
            "response_time_gm": ("response_time_s", "less"),
            "makespan": ("makespan_s", "less"),
            "throughput": ("throughput_per_s", "more"),
            "goodput": ("goodput_per_s", "more"),
        }
        effects = [
            Effect(
                words(f"group.{metric}"),
                words(f"better.{better}"),
                {arm: change(change_figure(self.summary, arm, key, words)) for arm in found},
            )
            for key, (metric, better) in metrics.items()
            if key in known
        ]
        title = words("heading.effect", baseline=self.baseline)
        axis = self.timed(words("axis.change", baseline=self.baseline))
        svg = effect_figure(effects, self.names, self.looks, axis, title)
        reasons = [c.reason for e in effects for c in e.changes.values() if c.reason]
        missing = words("figure.effect_none", reason=reasons[0] if reasons else "—")
        rows = [
            [
                f"{words(f'group.{metrics[key][0]}')}: {self.names[row['candidate']]}",
                change(change_figure(self.summary, row["candidate"], key, words)),
                row["n"],
                row["dropped_pairs"],
            ]
            for row in self.summary["comparisons"]
            if (key := row["estimand"]) in metrics
        ]
        head = [words(f"table.{name}") for name in ("metric", "change", "blocks", "dropped")]
        return self.exhibit("effect", title, svg, words("figure.effect"), missing, head, rows)

    def spread(self) -> Html:
        words = self.words
        times = {arm: figures["response_time_s"] for arm, figures in self._arms()}
        factor, unit = digits.time_unit(found["p95"] for found in times.values() if found)
        shown = words(f"unit.{unit}")
        medians = {}
        for arm, found in times.items():
            at = pointer("pipelines", arm, "response_time_s", "p50")
            pair = bounds(found["ci95"]["p50"]) if found else None
            none = words("reason.no_interval") if pair is None else None
            medians[arm] = Figure(found["p50"] if found else None, at, pair, none)
        row = measured(words("table.median"), shown, medians, factor, strict=True)
        spreads = {}
        for arm in self.arms:
            values = factor * sample(self.trials, arm).values
            cell, figure = row.cells[arm], medians[arm]
            ended = self.summary["pipelines"][arm]["outcomes"]
            lost = [o for o in OUTCOMES if o not in ANSWERED and ended[o]]
            note = [f"n = {values.size}", *(f"{words(f'outcome.{o}')} {ended[o]}" for o in lost)]
            spreads[arm] = Spread(
                self.names[arm],
                values,
                factor * figure.value if cell.text and figure.value is not None else None,
                (factor * figure.bounds[0], factor * figure.bounds[1]) if figure.bounds else None,
                ", ".join(note),
                words("figure.median", value=cell.text, interval=cell.interval)
                if cell.text
                else "",
            )
        axis = self.timed(words("axis.response", unit=shown))
        title = words("heading.spread")
        svg = spread_figure(spreads, self.looks, axis, title)
        head = [
            words("table.pipeline"),
            words("table.answered"),
            f"{words('table.median')}, {shown}",
        ]
        rows = [[self.names[arm], spreads[arm].values.size, row.cells[arm]] for arm in self.arms]
        missing = words("figure.spread_none")
        return self.exhibit("spread", title, svg, words("figure.spread"), missing, head, rows)

    def tail(self) -> Html:
        words = self.words
        samples = {arm: sample(self.trials, arm).values for arm in self.arms}
        bounded: Callable[[Floats, float], Estimate] = quantile
        if "load" in self.summary:
            samples, bounded = {arm: self._in_order() for arm in self.arms}, serial.quantile
        most = max((values.size for values in samples.values()), default=0)
        largest = [float(values.max()) for values in samples.values() if values.size]
        factor, unit = digits.time_unit(largest)
        curves = {
            arm: curve
            for arm, values in samples.items()
            if (curve := tail_curve(factor * values, bounded)) is not None
        }
        title, shown = words("heading.tail"), words(f"unit.{unit}")
        text = words("figure.tail", least=LEAST_BEYOND)
        missing = words("figure.tail_none", needed=LEAST_N, n=most)
        if not curves:
            return self.exhibit("tail", title, None, text, missing, [], [])
        axes = (words("axis.percentile"), self.timed(words("axis.response", unit=shown)))
        svg = tail_figure(curves, self.names, self.looks, axes, title)
        head = [words("table.percentile"), *(self.names[arm] for arm in curves)]
        places = digits.row_places([float(c.values[-1]) for c in curves.values()], ())
        rows = [
            [
                f"p{100 * p:g}, {shown}",
                *(
                    digits.number(float(c.at(p)), places) if p <= c.p[-1] else "—"
                    for c in curves.values()
                ),
            ]
            for p in (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
            if any(p <= c.p[-1] for c in curves.values())
        ]
        return self.exhibit("tail", title, svg, text, missing, head, rows)

    def timeline(self) -> Html:
        words = self.words
        title = words("heading.timeline_load" if "load" in self.summary else "heading.timeline")
        block = representative_block(self.trials, self.arms)
        if block is None:
            missing = words("figure.timeline_none")
            return self.exhibit("timeline", title, None, "", missing, [], [])
        found = stretches(self.trials, block, self.arms)
        since = "axis.since_first" if "load" in self.summary else "axis.since"
        axis, unit = self.timed(words(since)), words("unit.s")
        lengths = {
            arm: words.amount(digits.number(stretch.length, 2), unit)
            for arm, stretch in found.items()
        }
        svg = timeline_figure(found, self.names, self.looks, axis, title, lengths)
        size = max(stretch.trials for stretch in found.values())
        text = (
            words("figure.timeline_load", n=f"{size:,}")
            if "load" in self.summary
            else words("figure.timeline", block=block, baseline=self.baseline, n=size)
        )
        if size > MOST_BARS or any(stretch.lanes > MOST_LANES for stretch in found.values()):
            part = "figure.timeline_load_part" if "load" in self.summary else "figure.timeline_part"
            text += " " + words(part, lanes=MOST_LANES, bars=MOST_BARS)
        names = ("trial", "start", "end", "returned", "outcome")
        rows = [
            [
                bar.trial.trial,
                *(digits.number(moment, 3) for moment in (bar.start, bar.end, bar.back)),
                words(f"outcome.{bar.trial.outcome}"),
            ]
            for stretch in found.values()
            for bar in stretch.bars
        ][:MOST_TIMELINE_ROWS]
        head = [words(f"table.{name}") for name in names]
        return self.exhibit("timeline", title, svg, text, "", head, rows)

    def outcomes(self) -> Html:
        words, title = self.words, self.words("heading.outcomes")
        counts = {arm: figures["outcomes"] for arm, figures in self._arms()}
        called: dict[str, str] = {name: words(f"outcome.{name}") for name in OUTCOMES}
        svg = outcomes_figure(counts, self.names, called, words("axis.trials"), title)
        rows = [
            [
                self.names[arm],
                *(
                    Cell(
                        f"{found[name]}",
                        figure=Figure(found[name], pointer("pipelines", arm, "outcomes", name)),
                    )
                    for name in OUTCOMES
                ),
            ]
            for arm, found in counts.items()
        ]
        head = [words("table.pipeline"), *called.values()]
        missing = words("figure.outcomes_none")
        return self.exhibit("outcomes", title, svg, words("figure.outcomes"), missing, head, rows)

    def checks(self) -> Html:
        words, title = self.words, self.words("heading.checks")
        total: Counter[str] = Counter()
        for _, figures in self._arms():
            total.update(figures["failed_checks"])
        failed = {arm: figures["failed_checks"] for arm, figures in self._arms()}
        counts = {
            check: {arm: failed[arm].get(check, 0) for arm in self.arms}
            for check, _ in total.most_common()
        }
        svg = checks_figure(counts, self.arms, self.names, self.looks, title)
        text = words("figure.checks")
        if len(counts) > MOST_ROWS:
            text += " " + words("figure.checks_more", n=MOST_ROWS, all=len(counts))
        head = [words("table.check"), *(self.names[arm] for arm in self.arms)]
        rows = [[check, *found.values()] for check, found in counts.items()]
        return self.exhibit("checks", title, svg, text, words("figure.checks_none"), head, rows)

    def _in_order(self) -> Floats:
        """Seconds of the answered requests of a load in the order in which they were due, which
        intervals that allow for queues need.
        """
        trials = self.trials
        found = trials.response_time[np.argsort(trials.scheduled, kind="stable")]
        times: Floats = found[~np.isnan(found)]
        return times

    def _arms(self) -> list[tuple[str, Summary]]:
        return list(self.summary["pipelines"].items())
