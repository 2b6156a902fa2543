"""``harness claim``."""

import argparse
import datetime
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from harness.claims import Claim, load_claims, share_alpha
from harness.clock import run_loop
from harness.errors import InputError
from harness.execute import record
from harness.exit_codes import INCONCLUSIVE, INTERRUPTED, INVALID, OK, REFUTED
from harness.experiments import Experiment, Options, group_claims
from harness.judge import Result, judge, judge_startups
from harness.planning import Plan, plan
from harness.replay import replay_client
from harness.report.plans import print_plans
from harness.report.verdicts import print_results, write_results
from harness.scenario import Scenario, load_scenarios, shipped_dir
from harness.startup import measure_startup
from harness.store import RunWriter, dump, read_run, write_atomically

EXIT = {
    "supported": OK,
    "refuted": REFUTED,
    "inconclusive": INCONCLUSIVE,
    "not_testable": INVALID,
    "invalid_run": INVALID,
}


def main(args: argparse.Namespace) -> int:
    """Plan what the claims need, or run it and give their verdicts; the worst decides the exit."""
    claims = share_alpha(load_claims(args.files))
    options = Options(args.provider, args.seed, args.time_scale, args.sequential)
    if not 0 < args.time_scale <= 100:
        raise InputError(f"--time-scale: is {args.time_scale:g}, must be above 0 and at most 100")
    if args.plan:
        print_plans(_plans(args, claims), claims, as_json=args.json, lang=args.lang)
        return OK
    folder = _folder(args)
    known = {scenario.id: scenario for scenario in load_scenarios([shipped_dir()])}
    startups = [claim for claim in claims if claim.file.estimand == "startup_s"]
    edits = [claim for claim in claims if claim not in startups]
    groups = [(group, _scenarios(group[0], known)) for group in group_claims(edits)]
    experiments = [
        Experiment(group, scenarios, options, folder / group[0].id) for group, scenarios in groups
    ]
    results: dict[str, Result] = {}
    steps: list[tuple[Sequence[Claim], Callable[[], bool]]] = [
        (experiment.claims, partial(_run, experiment, results)) for experiment in experiments
    ]
    steps += [([claim], partial(_launch, claim, folder, results)) for claim in startups]
    for number, (tested, run) in enumerate(steps, start=1):
        names = ", ".join(claim.id for claim in tested)
        print(f"experiment {number} of {len(steps)}: {names}", file=sys.stderr)
        whole = run()
        ordered = [(claim, results[claim.id]) for claim in claims if claim.id in results]
        if ordered:  # after each, so that an interruption loses no verdict
            write_results(folder, ordered, options, args.lang)
        if not whole:
            left = len(claims) - len(ordered)
            print(f"interrupted: claims still open: {left}; the records are kept", file=sys.stderr)
            break
    if ordered or args.json:
        print_results(ordered, folder, options, as_json=args.json, lang=args.lang)
    if not whole:
        return INTERRUPTED
    return max(EXIT[result.verdict] for result in results.values())


def _plans(args: argparse.Namespace, claims: Sequence[Claim]) -> list[Plan]:
    pilot = read_run(Path(args.pilot)) if args.pilot else None
    prices = tuple(args.prices) if args.prices else None
    try:
        return [
            plan(claim, time_scale=args.time_scale, pilot=pilot, prices=prices, seed=args.seed)
            for claim in claims
        ]
    except ValueError as error:
        raise InputError(f"--pilot {error}") from error


def _run(experiment: Experiment, results: dict[str, Result]) -> bool:
    command = ["harness", *sys.argv[1:]]
    with RunWriter.create(experiment.folder, experiment.manifest(command)) as writer:
        if not run_loop(record(experiment, writer, lambda trial: None)):
            return False
    replays = run_loop(replay_client(experiment, experiment.replay_rates()))
    for claim in experiment.claims:
        results[claim.id] = judge(
            claim,
            experiment.arms[claim.id],
            experiment.data(claim, replays),
            experiment.sequential_g(claim),
        )
    return True


def _launch(claim: Claim, folder: Path, results: dict[str, Result]) -> bool:
    """Start the service as often as the budget says; False when interrupted."""
    budget, seconds = claim.file.budget, list[float]()
    began = time.monotonic()
    whole = True
    try:
        while len(seconds) < budget.blocks and time.monotonic() - began < 60 * budget.minutes:
            seconds.append(measure_startup())
    except KeyboardInterrupt:
        whole = False
    place = folder / claim.id
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(place / "startups.json", dump({"schema": 1, "startup_s": seconds}))
    if whole:
        results[claim.id] = judge_startups(claim, seconds)
    return whole


def _scenarios(claim: Claim, known: dict[str, Scenario]) -> Sequence[Scenario]:
    missing = [name for name in claim.file.scenarios if name not in known]
    if missing:
        raise InputError(f"{claim.path}: scenarios: there is no scenario {missing[0]!r}")
    return [known[name] for name in claim.file.scenarios]


def _folder(args: argparse.Namespace) -> Path:
    if args.out:
        return Path(args.out)
    return Path("reports") / f"run-{datetime.datetime.now():%Y%m%d-%H%M%S}"
