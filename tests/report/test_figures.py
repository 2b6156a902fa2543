"""What the figures are made of."""

import numpy as np
import pytest

from harness.report.figures.canvas import looks, shorten
from harness.report.figures.effect import ratio_ticks
from harness.report.figures.tail import tail_curve
from harness.report.figures.timeline import MOST_BARS, representative_block, stretches
from tests.report.build import trial


def test_looks_tell_arms_apart() -> None:
    found = looks(["sync", "sync@aa", "async", "batched"], "sync")
    assert len({look.token for look in found.values()}) == 4
    assert found["sync@aa"].token == "aa"
    assert len({str(look.dash) for look in found.values()}) == 4


def test_shorten_counts_columns() -> None:
    assert shorten("async", 10) == "async"
    assert shorten("package.module:pipeline", 11) == "packa…eline"


def test_a_tail_stops_where_ten_values_lie_beyond() -> None:
    assert tail_curve(np.linspace(1, 2, 39)) is None
    curve = tail_curve(np.linspace(1, 2, 200))
    assert curve is not None
    assert curve.p[0] == pytest.approx(0.5)
    assert curve.p[-1] == pytest.approx(0.95)
    assert curve.at(0.5) == pytest.approx(1.5)


def test_ticks_are_symmetric() -> None:
    ticks = ratio_ticks(1.5, 250)
    assert [-x for x, _ in reversed(ticks)] == [x for x, _ in ticks]
    assert {"0", "+100", "−50"} <= {text for _, text in ticks}


def test_lanes_and_barriers() -> None:
    records = [
        trial("batched", 0, start=0.0, took=0.10, held=0.05),
        trial("batched", 1, start=0.0, took=0.15),
        trial("batched", 2, start=0.16, took=0.10),
    ]
    found = stretches(records, 1, ["sync", "batched"])
    assert list(found) == ["batched"]
    stretch = found["batched"]
    assert stretch.lanes == 2
    assert [bar.lane for bar in stretch.bars] == [0, 1, 0]
    assert stretch.barriers == pytest.approx([0.15])
    assert stretch.length == pytest.approx(0.26)


def test_a_timeline_ends_with_what_is_drawn() -> None:
    records = [trial("load", 0, start=0.1 * i, took=0.05) for i in range(MOST_BARS + 60)]
    whole = stretches(records[:MOST_BARS], 1, ["load"])["load"]
    assert whole.drawn_until == whole.length
    part = stretches(records, 1, ["load"])["load"]
    assert (part.trials, len(part.drawn)) == (MOST_BARS + 60, MOST_BARS)
    assert part.drawn_lanes == 1
    assert part.drawn_until == pytest.approx(0.1 * (MOST_BARS - 1) + 0.05)


def test_the_block_that_is_shown_is_whole_and_in_the_middle() -> None:
    arms = ["sync", "async"]
    records = [
        trial(arm, 0, block, took=took)
        for block, took in ((1, 0.1), (2, 0.3), (3, 0.2))
        for arm in arms
    ]
    assert representative_block(records, arms) == 3
    records.append(trial("sync", 1, 3, outcome="error"))
    assert representative_block(records, arms) == 2
    assert representative_block([], arms) is None
    assert representative_block([trial("sync", warmup=True)], arms) is None
