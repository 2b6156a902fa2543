"""The top of a page: what was run, what it shows in plain words, and whether to trust it."""

import shlex
from pathlib import Path

from harness.report import digits, loading
from harness.report.comparison import Summary, candidates, change_figure, of_routes
from harness.report.facts import (
    broken_text,
    check_text,
    is_unmeasured,
    minute,
    progress,
    remedy,
    simulated_label,
    unheld,
    workload,
)
from harness.report.figures.canvas import looks
from harness.report.markup import Html, fill, options, tag
from harness.report.table import Figure, bounds, change, pointer
from harness.report.tables import data_of
from harness.report.words import Words

MARKS = {"holds": "✓", "broken": "✕", "unknown": "?"}
_BOUNDS = {"complete": "of", "achieved_share": "at_least", "carried_share": "at_least"}


def header(summary: Summary, words: Words) -> Html:
    """Which pipelines, on what, when; and that times are simulated, if they are."""
    run, config = summary["run"], summary["run"]["config"]
    arms = [arm for arm in summary["pipelines"] if arm != f"{run['baseline']}@aa"]
    provider = run["provider"] or {}
    repeated = "load" not in summary and not of_routes(summary)
    facts = [
        words("meta.provider", provider=config["provider"]),
        words("meta.model", model=provider["model"]) if provider.get("model") else None,
        words("meta.scenarios", n=run["scenarios"]),
        words("meta.repeats", n=config["repeats"]) if repeated else None,
        words("meta.counted", n=run["recorded_trials"] - run["warmup_trials"]),
        words("meta.concurrency", n=config["concurrency"]) if config["concurrency"] else None,
        words("meta.workload", workload=workload(config["workload"], words)),
    ]
    made = run["started"] and words("meta.made", when=minute(run["started"]))
    return tag(
        "header",
        tag("p", words("page.title"), " · ", made, class_="eyebrow") if made else None,
        tag("h1", " · ".join(arms)),
        tag("ul", *(tag("li", fact) for fact in facts if fact), class_="facts"),
        simulated(summary, words),
    )


def simulated(summary: Summary, words: Words) -> Html | None:
    """That the times are those of a simulated model, and of which; None for a real one."""
    label = simulated_label(summary, words)
    if label is None:
        return None
    run = summary["run"]
    profile = (run["provider"] or {}).get("profile") or run["config"]["provider"]
    text = words("meta.simulated", profile=profile)
    if run["time_scale"] not in (None, 1):
        text += " " + words("meta.scaled", scale=f"{run['time_scale']:g}")
    return tag("p", tag("strong", label, class_="badge"), " ", text, class_="simulated")


def conclusion(summary: Summary, folder: Path, words: Words) -> Html:
    """One statement per candidate; of a run that is not valid, none, and why."""
    title = tag("h2", words("heading.conclusion"))
    parts = [None if "load" in summary else _unfinished(summary, folder, words)]
    counted = any(figures["trials"] for figures in summary["pipelines"].values())
    broken = [check for check in summary["validity"]["checks"] if not check["ok"]]
    if not counted:
        parts.append(tag("p", words("sentence.no_trials"), class_="lead"))
    elif not summary["validity"]["valid"]:
        title = tag("h2", words("sentence.no_conclusion"))
        reasons = [tag("li", broken_text(check, words)) for check in broken]
        parts += [tag("p", words("sentence.invalid"), class_="lead"), tag("ul", *reasons)]
    elif "load" in summary:
        parts += loading.statement(summary, words)
    elif arms := candidates(summary):
        arms.sort(key=lambda arm: arm.endswith("@aa"))
        parts += [_statement(summary, arm, words) for arm in arms]
    elif len(summary["pipelines"]) > 1:
        text = words("sentence.routes", n=len(summary["pipelines"]))
        parts.append(tag("p", text, class_="lead"))
    else:
        mine = _rate(summary, summary["run"]["baseline"], words)
        parts.append(tag("p", fill(words("sentence.single"), mine=mine), class_="lead"))
    return tag("section", title, *parts, id="result", class_="conclusion")


def _unfinished(summary: Summary, folder: Path, words: Words) -> Html | None:
    short = progress(summary)
    if short is None:
        return None
    text = words("sentence.interrupted", done=short[0], planned=short[1])
    command = f"harness run --resume --out {shlex.quote(str(folder))}"
    return tag("p", text, " ", words("sentence.go_on"), " ", tag("code", command))


def _statement(summary: Summary, arm: str, words: Words) -> Html:
    baseline = summary["run"]["baseline"]
    again = arm == f"{baseline}@aa"
    response = change_figure(summary, arm, "response_time_gm", words)
    makespan = change_figure(summary, arm, "makespan", words)
    rows = {row["estimand"]: row for row in summary["comparisons"] if row["candidate"] == arm}
    effect = fill(
        words("sentence.again" if again else "sentence.effect"),
        baseline=baseline,
        response=_effect(response, words),
        makespan=_effect(makespan, words),
    )
    success = fill(
        words("sentence.success"),
        mine=_rate(summary, arm, words),
        theirs=_rate(summary, baseline, words),
    )
    gm, span = rows.get("response_time_gm"), rows.get("makespan", {"n": 0})
    evidence = None
    if gm is not None:
        key = "sentence.evidence" if gm["n"] == span["n"] else "sentence.evidence_makespan"
        text = words(key, n=gm["n"], m=span["n"], dropped=gm["dropped_pairs"])
        evidence = tag("p", text, class_="small")
    return tag(
        "article",
        tag("h3", arm),
        tag("p", effect, " ", success, class_="lead"),
        evidence,
        class_="again" if again else None,
        style=f"--series: var(--{looks(list(summary['pipelines']), baseline)[arm].token})",
    )


def _effect(figure: Figure, words: Words) -> Html:
    """A change in words that say no more than its interval does."""
    cell = change(figure)
    if cell.text is None or figure.bounds is None or figure.value is None:
        shown = words("sentence.missing", reason=cell.reason)
    elif cell.unresolved:
        shown = words("sentence.unresolved", percent=cell.text, interval=cell.interval)
    else:
        key = "sentence.less_time" if figure.value < 0 else "sentence.more_time"
        ends = sorted(map(abs, figure.bounds))
        places = digits.row_places((), [figure.bounds])
        shown = words(
            key,
            percent=digits.number(abs(figure.value), places),
            interval=digits.interval(ends[0], ends[1], places),
        )
    return tag("strong", shown, **data_of(figure))


def _rate(summary: Summary, arm: str, words: Words) -> Html:
    right = summary["pipelines"][arm]["success"]
    pair = bounds(right["ci95"])
    if not right["n"] or pair is None:
        return tag("span", words("sentence.no_rate"))
    places = digits.row_places((), [(100 * pair[0], 100 * pair[1])])
    shown = words(
        "sentence.rate",
        k=right["k"],
        n=right["n"],
        percent=digits.number(100 * right["rate"], places),
        interval=digits.interval(100 * pair[0], 100 * pair[1], places),
    )
    figure = Figure(right["k"], pointer("pipelines", arm, "success", "k"))
    return tag("span", shown, class_="rate", **data_of(figure))


def validity(summary: Summary, words: Words) -> Html:
    """A strip of all checks with value and limit, the warm-up, the client's own timing error."""
    checks = summary["validity"]["checks"]
    items = []
    for i, check in enumerate(checks):
        name, value, limit, part = check_text(check, words)
        state = "holds" if check["ok"] else "unknown" if is_unmeasured(check) else "broken"
        bound = _BOUNDS.get(check["name"], "at_most")
        limit = limit.replace(" ", "\N{NO-BREAK SPACE}")
        figure = Figure(check["value"], pointer("validity", "checks", i, "value"))
        items.append(
            tag(
                "li",
                tag(
                    "span",
                    MARKS[state],
                    " ",
                    words(f"validity.{state}"),
                    class_="state",
                ),
                tag("span", name, class_="name"),
                tag("b", value, **data_of(figure)),
                tag(
                    "span",
                    words(f"validity.{bound}", limit=limit, part=part).strip(),
                    class_="limit",
                )
                if limit
                else None,
                tag("span", options(remedy(summary, check, words)), class_="remedy")
                if state == "broken"
                else None,
                class_=state,
            )
        )
    return tag(
        "section",
        tag("h2", words("heading.validity")),
        tag("p", unheld(checks, "validity", words)),
        tag("ul", *items, _warmup(summary, words), _client(summary, words), class_="strip"),
        id="validity",
    )


def _warmup(summary: Summary, words: Words) -> Html:
    """How much was done before anything counted."""
    n = summary["run"]["warmup_trials"]
    figure = Figure(n, pointer("run", "warmup_trials"))
    value = tag("b", words.amount(f"{n:,}", words("unit.trials")), **data_of(figure))
    return _fact(
        words("validity.warmup"), value, words(f"validity.warmup_{'out' if n else 'none'}")
    )


def _client(summary: Summary, words: Words) -> Html:
    """The client's time less the simulator's own, where there are two clocks to compare."""
    error, name = summary["client_error_s"], words("validity.client")
    if error is None:
        value, note = tag("b", "—"), words("validity.client_absent")
    else:
        factor, unit = digits.time_unit([error["p99"]])
        shown = [
            f"{digits.significant(factor * error[p], 3)} {words(f'unit.{unit}')}"
            for p in ("p50", "p99")
        ]
        figure = Figure(error["p50"], pointer("client_error_s", "p50"))
        value = tag("b", f"p50 {shown[0]}", **data_of(figure))
        note = words("validity.client_note", p99=shown[1], n=error["n"])
    return _fact(name, value, note)


def _fact(name: str, value: Html, note: str) -> Html:
    """What the strip tells without judging it."""
    return tag("li", tag("span", name, class_="name"), value, tag("span", note, class_="limit"))
