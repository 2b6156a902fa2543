"""docs/method.md says what the code does, and its table shows the known answers.

The simulations behind the table are not run again: ``make method-table`` does that.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from benchmarks import known_answers
from benchmarks.known_answers import BEGIN, END, EXACT, ROWS, Row, exact, holds, rewritten, shown
from harness.claims import Estimand, VerdictName
from harness.gates import client, evidence
from harness.gates.base import Rule
from harness.stats.verdict import Qualifier
from harness.validity import CPU_SHARE, LEAST_SLIP_S, SLIP_SHARE, UNANSWERED_SHARE

TEXT = known_answers.DOC.read_text("utf-8")
TABLE = shown(TEXT)
RECOMPUTED = ("K2", "K3", "K4", "K7", "K8", "K9", "K14")
RULES = {
    "G0": client.TREATMENT,
    "G2": client.SCHEDULE,
    "G3": client.LOOP,
    "G4": client.CLIENT,
    "G5": client.LITTLE,
    "G6": evidence.DRIFT,
    "G7": evidence.WARMUP,
    "G8": evidence.WORK,
    "G9": evidence.SUCCESS,
}


def gate_row(gate: str) -> list[str]:
    """The cells of a gate's line: name, when it holds, effect."""
    found = re.findall(rf"^\| ({gate} .*) \|$", TEXT, re.M)
    assert len(found) == 1, gate
    return re.split(r" (?<!\\)\| ", found[0])


def test_every_known_answer_is_in_the_table_in_order() -> None:
    assert [cells[:3] for cells in TABLE] == [[r.known, r.figure, r.expected] for r in ROWS]
    assert {row.known for row in ROWS} == {f"K{i}" for i in range(1, 16)}


@pytest.mark.parametrize("cells", TABLE, ids=lambda cells: f"{cells[0]} {cells[1]}")
def test_each_figure_is_the_expected_one(cells: list[str]) -> None:
    assert holds(cells)
    simulations = cells[4]
    assert simulations == EXACT or int(simulations.replace(",", "")) >= 1000


@pytest.mark.parametrize("known", RECOMPUTED)
def test_what_needs_no_simulation_is_what_the_code_gives(known: str) -> None:
    rows = [row for row in ROWS if row.known == known]
    assert [list(row.cells()) for row in rows] == [cells for cells in TABLE if cells[0] == known]


@pytest.mark.parametrize(
    ("expected", "found", "error", "ok"),
    [
        ("0.300", "0.3096", "0.0032", True),  # 3 standard errors, and those of the expected
        ("0.300", "0.3500", "0.0032", False),
        ("0.000", "0.0005", "0.0001", True),
        ("0.3615", "0.3618", "–", False),
        ("0.3615", "0.36154", "–", True),
        ("inf", "inf", "–", True),
        ("supported", "refuted", "–", False),
        ("≤ 0.03", "0.0301", "0.0025", False),
        ("≥ 0.80", "0.8000", "0.0125", True),
        ("< 0.80", "0.8000", "0.0089", False),
        ("0.935–0.965", "0.9350 / 0.9651", "0.0050 / 0.0050", False),
        ("0.935–0.965 / < 0.88", "0.9444 / 0.7525", "0.0051 / 0.0096", True),
    ],
)
def test_a_figure_that_is_off_is_seen(expected: str, found: str, error: str, ok: bool) -> None:
    n = EXACT if error == "–" else "2,000"
    assert holds(("K0", "planted", expected, found, n, error)) == ok


@pytest.mark.parametrize("text", ["no markers", f"only {BEGIN}", f"{END} before {BEGIN}"])
def test_a_document_without_markers_is_not_touched(text: str) -> None:
    with pytest.raises(ValueError, match="substring"):
        shown(text)


def row(figure: Callable[[], known_answers.Found]) -> Row:
    return Row("K0", "one and a half", "1.5", figure)


@pytest.mark.parametrize(("value", "code"), [(1.5, 0), (1.6, 1)])
def test_only_the_table_is_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, code: int
) -> None:
    doc = tmp_path / "method.md"
    doc.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    monkeypatch.setattr(known_answers, "DOC", doc)
    monkeypatch.setattr(known_answers, "ROWS", (row(partial(exact, value, digits=1)),))
    assert known_answers.main() == code
    text = doc.read_text("utf-8")
    assert shown(text) == [["K0", "one and a half", "1.5", f"{value}", EXACT, "–"]]
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert rewritten(text, shown(text)) == text


def test_every_estimand_verdict_and_qualifier_is_explained() -> None:
    for name in (*get_args(Estimand), *get_args(Qualifier)):
        assert f"`{name}`" in TEXT, name
    for name in get_args(VerdictName):
        assert f"**{name}**" in TEXT, name


@pytest.mark.parametrize("gate", RULES)
def test_a_gate_has_its_name_and_effect(gate: str) -> None:
    rule: Rule = RULES[gate]
    name, _, effect = gate_row(gate)
    assert name.replace(" ", "_").replace("-", "").lower() == rule.name.lower()
    assert effect == rule.effect


def test_gates_have_the_limits_of_the_code() -> None:
    level = {name: f"level {value:g}".replace("0.", ".") for name, value in evidence.LEVEL.items()}
    where = {
        "trend": "G6",
        "autocorrelation": "G6",
        "first round": "G7",
        "tokens": "G8",
        "right": "G9",
        "answered": "G9",
    }
    assert where.keys() == level.keys()
    for name, gate in where.items():
        assert level[name] in gate_row(gate)[1], name
    assert f"{1000 * LEAST_SLIP_S:g} ms, {100 * SLIP_SHARE:g} %" in gate_row("G2")[1]
    assert f"{100 * CPU_SHARE:g} % of a core" in gate_row("G4")[1]
    assert f"≤ {100 * client.LITTLE_SHARE:g} %" in gate_row("G5")[1]
    assert f"≥ {client.LEAST_EFFICIENCY:g}".replace("0.", ".") in gate_row("G5")[1]
    assert f"{100 * UNANSWERED_SHARE:g} %" in gate_row("G9")[1]
    assert f"{100 * evidence.CACHED_POINTS:g} point" in gate_row("G8")[1]
    assert f"{100 * evidence.AA_CONFIDENCE:g} %" in gate_row("G1")[1]
