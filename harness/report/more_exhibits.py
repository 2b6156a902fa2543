"""Exhibits of what changes from pair to pair and in the course of the run."""

import numpy as np

from harness.report import digits
from harness.report.comparison import candidates, change_figure, of_routes
from harness.report.figures.over_time import Texts, over_time_figure
from harness.report.figures.pairs import pairs_figure
from harness.report.markup import Html
from harness.report.scene import Scene
from harness.report.table import change
from harness.report.windows import FAILED, LEAST_P50, LEAST_P99, windows
from harness.stats import sample as sm

_QUARTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def pairs(scene: Scene) -> Html:
    """How much the trials of a pair differ, for each candidate."""
    words, baseline = scene.words, scene.baseline
    found = {arm: sm.pairs(scene.trials, baseline, arm) for arm in candidates(scene.summary)}
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {arm: pair.candidate / pair.baseline for arm, pair in found.items()}
    changes = {
        arm: change(change_figure(scene.summary, arm, "response_time_gm", words)) for arm in found
    }
    title = words("heading.pairs", baseline=baseline)
    axis = scene.timed(words("axis.change", baseline=baseline))
    svg = pairs_figure(ratios, changes, scene.names, scene.looks, axis, title)
    head = [words("table.pipeline"), words("table.pairs"), words("table.change")]
    head += [f"p{100 * p:g}, %" for p in _QUARTILES]
    rows = [
        [
            scene.names[arm],
            f"{ratio.size:,}",
            changes[arm],
            *(
                digits.number(100 * (float(x) - 1), 0, sign=True)
                for x in np.quantile(ratio, _QUARTILES)
            ),
        ]
        for arm, ratio in ratios.items()
        if ratio.size
    ]
    text, missing = words("figure.pairs"), words("figure.pairs_none")
    return scene.exhibit("pairs", title, svg, text, missing, head, rows)


def over_time(scene: Scene) -> Html:
    """Percentiles, rate, trials in flight and failures in the course of the run."""
    words, title = scene.words, scene.words("heading.over_time")
    found = windows(scene.run, scene.arms)
    if found is None or not any(np.isfinite(p50).any() for p50 in found.p50.values()):
        missing = words("figure.over_time_none", n=LEAST_P50)
        return scene.exhibit("over-time", title, None, "", missing, [], [])
    largest = [float(np.nanmax(p, initial=0.0)) for p in (*found.p50.values(), *found.p99.values())]
    factor, unit = digits.time_unit(largest)
    shown = words(f"unit.{unit}")
    texts = Texts(
        scene.timed(words("axis.p50_p99", unit=shown)),
        words("axis.rate"),
        words("axis.in_flight"),
        words("axis.failed"),
        words("axis.since_run"),
        words("figure.offered"),
        words("figure.answered"),
        words("figure.warmup"),
    )
    open_loop = not str(scene.summary["run"]["config"]["workload"]).startswith("closed")
    svg = over_time_figure(
        found, scene.names, scene.looks, texts, title, factor=factor, offered=open_loop
    )
    together = words(f"figure.{'at_once' if of_routes(scene.summary) else 'by_turns'}")
    least = {"p50": LEAST_P50, "p99": LEAST_P99}
    text = words("figure.over_time", n=len(found.edges) - 1, **least, together=together)
    if found.density is not None:
        text += " " + words("figure.density")
    arms = [arm for arm in scene.arms if np.isfinite(found.p50[arm]).any()]
    deep = [arm for arm in arms if np.isfinite(found.p99[arm]).any()]
    sides = [*((found.p50, "p50", arm) for arm in arms), *((found.p99, "p99", arm) for arm in deep)]
    head = [
        words("table.from"),
        *(f"{scene.names[arm]} {name}, {shown}" for _, name, arm in sides),
        *(words(f"axis.{name}") for name in ("rate", "in_flight", "failed")),
    ]
    failed = np.sum([found.failed[name] for name in FAILED], axis=0)
    rows = [
        [
            digits.significant(float(found.edges[i]), 3),
            *(_number(factor * float(side[arm][i])) for side, _, arm in sides),
            _number(float(found.answered[i])),
            _number(float(found.in_flight[i])),
            f"{int(failed[i])}",
        ]
        for i in range(len(found.edges) - 1)
    ]
    return scene.exhibit("over-time", title, svg, text, "", head, rows)


def _number(value: float) -> str:
    return "—" if np.isnan(value) else digits.significant(value, 3)
