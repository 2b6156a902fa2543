"""Plans of claims in the terminal: blocks, time, tokens, money, and what noise alone would show."""

import json
from collections.abc import Sequence

from harness.claims import Claim
from harness.planning import STATED, Plan
from harness.report.digits import finite, number, significant
from harness.report.words import Words, language


def print_plans(
    plans: Sequence[Plan], claims: Sequence[Claim], *, as_json: bool, lang: str
) -> None:
    """One JSON object, or a paragraph for each claim, on standard output."""
    if as_json:
        data = {"plans": [finite(plan.to_dict()) for plan in plans]}
        print(json.dumps(data, ensure_ascii=False, allow_nan=False))
        return
    words = Words(language(lang))
    for claim, plan in zip(claims, plans, strict=True):
        print("\n  ".join(_lines(claim, plan, words)), end="\n\n")


def _lines(claim: Claim, plan: Plan, words: Words) -> list[str]:
    if claim.file.estimand == "startup_s":
        launches = words(
            "plan.launches", n=plan.budget_blocks, minutes=significant(plan.minutes, 2)
        )
        return [words("plan.title", id=claim.id), launches]
    assumed = plan.assumption
    cv = significant(100 * assumed.cv, 2)
    source = words("plan.stated") if assumed.source == STATED else assumed.source
    lines = [
        words("plan.title", id=claim.id),
        words("plan.variance", edit=significant(assumed.edit_s), cv=cv, source=source),
        _blocks(claim, plan, words),
        words(
            "plan.time",
            minutes=significant(plan.minutes),
            blocks=plan.blocks,
            arms=plan.arms,
        ),
    ]
    if plan.blocks > plan.budget_blocks:
        lines.append(words("plan.over", budget=plan.budget_blocks))
    if plan.minutes > plan.budget_minutes:
        lines.append(words("plan.late", budget=significant(plan.budget_minutes)))
    lines.append(
        words(
            "plan.tokens",
            prompt=f"{plan.prompt_tokens:,}",
            completion=f"{plan.completion_tokens:,}",
        )
    )
    if plan.cost is not None:
        lines.append(words("plan.money", cost=number(plan.cost, 2)))
    if plan.noise is not None and plan.published_change is not None:
        lines.append(
            words(
                "plan.noise",
                change=number(100 * plan.published_change, 1, sign=True),
                n=plan.published_n,
            )
        )
        lines += [
            "  " + words("plan.chance", cv=f"{100 * float(cv):3.0f}", percent=f"{100 * p:5.1f}")
            for cv, p in plan.noise.items()
        ]
    return lines


def _blocks(claim: Claim, plan: Plan, words: Words) -> str:
    """The blocks to plan for; a claim of a value says nothing of a difference that may be none."""
    file = claim.file
    if file.kind == "absolute":
        n = plan.support or plan.refute
        return words("plan.decide", n=n) if n else words("plan.decide_open")
    size = words("plan.as_claimed")
    if file.estimand == "success" and file.gain is not None:
        size = words("plan.gain", size=number(100 * file.gain, 0))
    elif file.reduction is not None:
        size = f"{number(100 * file.reduction, 0)} %"
    return words(
        "plan.blocks",
        support=plan.support or words("plan.open"),
        refute=plan.refute or words("plan.open"),
        size=size,
    )
