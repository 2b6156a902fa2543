"""Records → ``summary.json``: the one place where a run's figures are made.

Every report shows these figures and computes none of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson

from harness import validity
from harness.packing import NONE, Bools
from harness.records import OUTCOMES, BlockRecord
from harness.stats import compare, estimate
from harness.stats import sample as sm
from harness.store import Run
from harness.trials import Recorded, Trials

CONFIDENCE = 0.95
TIMES = ("response_time_s", "service_time_s", "ttft_s")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
BLOCK_MEASURES: tuple[sm.BlockMeasure, ...] = ("makespan", "throughput")


def summarise(run: Run | Recorded) -> dict[str, Any]:
    """The figures of a run, as design and README document them. Times in seconds.

    Of a load run they are its own, as far as it has them.
    """
    recorded = Recorded.of(run)
    manifest, trials = recorded.manifest, recorded.trials
    target = _target(manifest)
    arms: list[str] = manifest["arms"]
    # Locust's users of several routes run at the same time, so that none of their trials are pairs.
    candidates = [] if manifest.get("kind") == "locust" else arms[1:]
    checks = validity.checks_of(recorded)
    summary = {
        "schema": manifest["schema"],
        "run": {
            "kind": manifest.get("kind", "run"),
            "status": manifest["status"],
            "command": manifest["command"],
            "config": manifest["config"],
            "provider": manifest["provider"],
            "simulated": bool((manifest["provider"] or {}).get("simulated")),
            "time_scale": (manifest["provider"] or {}).get("time_scale"),
            "baseline": manifest["baseline"],
            "scenarios": len(manifest["scenarios"]),
            "planned_trials": manifest["planned_trials"],
            "recorded_trials": len(trials),
            "warmup_trials": int(trials.warmup.sum()),
            "segments": len(manifest["segments"]),
            "started": manifest["segments"][0]["started"] if manifest["segments"] else None,
            "environment": manifest["environment"],
        },
        "pipelines": {arm: _pipeline(recorded, arm, target) for arm in arms},
        "client_error_s": _spread(validity.client_errors(trials)),
        "comparisons": _with_holm(
            [row for arm in candidates for row in _compare(trials, arms[0], arm, target)]
        ),
        "validity": {
            "valid": all(check.ok for check in checks),
            "checks": [asdict(check) for check in checks],
        },
    }
    load = run.folder / validity.LOAD
    return _of_load(summary, orjson.loads(load.read_bytes())) if load.exists() else summary


def _of_load(summary: Mapping[str, Any], load: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a load run, with ``load.json`` under ``load``.

    What both know is the load's own: it has looked at the requests in the order in which they were
    due, so that its intervals allow for those that met in a queue and fared alike. An interval that
    takes them as independent holds the truth too seldom.
    """
    arms = {arm: {**found, **_loaded(found, load)} for arm, found in summary["pipelines"].items()}
    return {**summary, "load": load, "pipelines": arms}


def _loaded(figures: Mapping[str, Any], load: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a load by the names that those of a pipeline have."""
    own: dict[str, Any] = {"success": {"k": load["outcomes"]["ok"], **load["success"]}}
    for name in TIMES:
        found = load[name]
        own[name] = found and {
            **found,
            "ci95": {"mean": None, **found["ci95"]},
            "excluded": (figures[name] or {"excluded": {}})["excluded"],
            "warnings": {"mean": estimate.few(1, 2), **unbounded(name, found)},
        }
    for name in ("throughput_per_s", "goodput_per_s"):
        rate = load[name]
        own[name] = None if rate is None else {"n": 1, "mean": rate, "ci95": None, "excluded": {}}
    return own


def unbounded(name: str, times: Mapping[str, Any]) -> dict[str, str]:
    """Quantiles of a time of ``load.json`` that its n cannot support → why.

    Either there are too few requests, or those that follow each other are so much alike that they
    tell less than so many independent ones (a time without intervals has only the former). The
    client's own delays are all that there were, and no sample: what was seen of them stands.
    """
    if name not in (*TIMES, "itl_s"):
        return {}
    n, found = times["n"], {}
    for point, p in QUANTILES.items():
        least = estimate.least_n(p, CONFIDENCE)
        if n < least:
            found[point] = estimate.few(n, least)
        elif times.get("ci95", {}).get(point, ()) is None:
            alike = times.get("effective_n")  # which load.json of earlier versions has not
            found[point] = f"effective n {'' if alike is None else f'= {alike[point]} '}< {least}"
    return found


def _target(manifest: dict[str, Any]) -> float | None:
    """The response time that goodput demands, scaled like the simulator's times."""
    target: float | None = manifest["config"]["target"]
    if target is None:
        return None
    return target * float((manifest["provider"] or {}).get("time_scale") or 1.0)


def _pipeline(run: Recorded, arm: str, target: float | None) -> dict[str, Any]:
    trials = run.trials
    mine = ~trials.warmup & (trials.pipeline.codes == trials.pipeline.code(arm))
    ended = np.bincount(trials.outcome[mine], minlength=len(OUTCOMES)).tolist()
    right = sm.successes(trials, arm)
    rate = estimate.proportion(right.k, right.n, CONFIDENCE)
    return {
        "trials": int(mine.sum()),
        "outcomes": dict(zip(OUTCOMES, ended, strict=True)),
        "success": {"k": right.k, "n": right.n, "rate": rate.point, "ci95": _ci(rate)},
        "response_time_s": _times(sm.sample(trials, arm, "response_time")),
        "service_time_s": _times(sm.sample(trials, arm, "service_time")),
        "ttft_s": _times(sm.sample(trials, arm, "ttft")),
        "throughput_per_s": _per_block(trials, arm, "throughput", None),
        "goodput_per_s": _per_block(trials, arm, "goodput", target),
        "makespan_s": _per_block(trials, arm, "makespan", None),
        "tokens": _tokens(trials, mine),
        "errors": trials.error.counts(mine),
        "malformed": trials.malformed.counts(mine),
        "failed_checks": trials.failed.counts(mine[trials.failed_of]),
        "attempts": int(trials.attempts[mine].sum()),
        "resources": _resources([block for block in run.blocks if block.pipeline == arm]),
    }


def _times(sample: sm.Sample) -> dict[str, Any] | None:
    """Mean, quantiles and intervals of a latency sample; None when it is empty.

    Trials that share a block are not independent, so the mean's interval is over block means.
    """
    if not sample.n:
        return None
    x = sample.values
    mean = estimate.mean(compare.by_group(x, sample.blocks), CONFIDENCE, least=0.0)
    p50, p95, p99 = (estimate.quantile(x, p, CONFIDENCE) for p in (0.5, 0.95, 0.99))
    warnings = {
        name: found.warnings[0]
        for name, found in (("mean", mean), ("p50", p50), ("p95", p95), ("p99", p99))
        if found.warnings
    }
    return {
        "n": sample.n,
        "mean": float(x.mean()),
        "p50": p50.point,
        "p95": p95.point,
        "p99": p99.point,
        "max": float(x.max()),
        "ci95": {"mean": _ci(mean), "p50": _ci(p50), "p95": _ci(p95), "p99": _ci(p99)},
        "excluded": {why: n for why, n in sample.excluded.items() if why != "warmup"},
        "warnings": warnings,
    }


def _per_block(
    trials: Trials, arm: str, measure: sm.BlockMeasure, target: float | None
) -> dict[str, Any] | None:
    values = sm.block_values(trials, arm, measure, target=target)
    if not values.n:
        return None
    found = estimate.mean(values.values, CONFIDENCE, least=0.0)
    return {"n": found.n, "mean": found.point, "ci95": _ci(found), "excluded": values.excluded}


def _tokens(trials: Trials, mine: Bools) -> dict[str, Any] | None:
    """Tokens of all calls of the trials that the server counted; None when it counted none."""
    counted = trials.tokens[mine & (trials.tokens[:, 0] != NONE)]
    if not len(counted):
        return None
    prompt, completion, cached = counted.T
    known = cached != NONE
    return {
        "n": len(counted),
        "prompt": int(prompt.sum()),
        "completion": int(completion.sum()),
        "cached": int(cached[known].sum()) if known.any() else None,
    }


def _resources(blocks: Sequence[BlockRecord]) -> dict[str, Any]:
    kept = [block for block in blocks if not block.warmup]
    trials = sum(block.trials for block in kept)
    rss = [block.peak_rss_mb for block in kept if block.peak_rss_mb is not None]
    threads = [block.peak_threads for block in kept if block.peak_threads is not None]
    sockets = [block.peak_sockets for block in kept if block.peak_sockets is not None]
    return {
        "cpu_s_per_trial": sum(block.cpu_s for block in kept) / trials if trials else None,
        "peak_rss_mb": max(rss, default=None),
        "peak_threads": max(threads, default=None),
        "peak_sockets": max(sockets, default=None),
    }


def _compare(
    trials: Trials, baseline: str, candidate: str, target: float | None
) -> list[dict[str, Any]]:
    """What the candidate changes against the baseline, one row for each estimand."""
    pairs = sm.pairs(trials, baseline, candidate)
    found = [
        (pairs, compare.gm_ratio(pairs, CONFIDENCE)),
        (pairs, compare.mean_ratio(pairs, CONFIDENCE)),
    ]
    measures: list[sm.BlockMeasure] = [*BLOCK_MEASURES]
    if target is not None:
        measures.append("goodput")
    for measure in measures:
        grouped = sm.block_pairs(trials, baseline, candidate, measure, target=target)
        found.append((grouped, compare.block_ratio(grouped, CONFIDENCE, measure)))
    return [
        {
            "baseline": baseline,
            "candidate": candidate,
            "estimand": result.estimand,
            "ratio": result.ratio,
            "ci95": None if result.lo is None or result.hi is None else [result.lo, result.hi],
            "change_percent": None if result.ratio is None else 100 * (result.ratio - 1),
            "n": result.n,
            "pairs": source.n,
            "dropped_pairs": result.dropped_pairs,
            "cut_blocks": source.cut_blocks,
            "method": result.method,
            "p_value": result.p_value,
            "verdict": None,
            "warnings": list(result.warnings),
        }
        for source, result in found
    ]


def _with_holm(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with ``p_holm``: exploratory p-values corrected for looking at all of them."""
    tested = [row for row in rows if row["p_value"] is not None]
    corrected = compare.holm([row["p_value"] for row in tested])
    for row in rows:
        row["p_holm"] = None
    for row, p_holm in zip(tested, corrected, strict=True):
        row["p_holm"] = p_holm
    return rows


def _spread(values: Sequence[float]) -> dict[str, Any] | None:
    """n, mean, quantiles and maximum of plain values; None when there are none."""
    if not values:
        return None
    x = np.asarray(values)
    p50, p95, p99 = np.quantile(x, [0.5, 0.95, 0.99])
    return {
        "n": int(x.size),
        "mean": float(x.mean()),
        "p50": float(p50),
        "p95": float(p95),
        "p99": float(p99),
        "max": float(x.max()),
    }


def _ci(found: estimate.Estimate) -> list[float | None] | None:
    """Both bounds, or None when a side has none."""
    return [found.lo, found.hi] if found.lo is not None and found.hi is not None else None
