"""``harness load``."""

import argparse
import datetime
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import InputError
from harness.exit_codes import INCONCLUSIVE, INTERRUPTED, INVALID, OK, REFUTED
from harness.load.arrivals import Arrivals, parse_arrival
from harness.load.asking import prepare, which_api
from harness.load.engine import ClosedLoop
from harness.load.session import Load, Options, Progress, Shown, open_load, run
from harness.load.slo import Held, parse_slo
from harness.load.trace import read_trace
from harness.records import ANSWERED
from harness.report.progress import show_load

if TYPE_CHECKING:
    from harness.load.finding import Search
    from harness.scenario import Scenario

DURATION_S = 10.0
ARRIVAL = "poisson"
STREAMS = "add --stream, or load /edit-scenario-stream of the service"
APART_S = 0.001  # users who begin together stay together where every answer takes as long
RAMP_SHARE = 0.1  # of the load at most
RAMP_SHOWN_S = 0.1
OVER = "The load is over; what came is judged and recorded."
HELD: dict[Held, int] = {"held": OK, "missed": REFUTED, "undecided": INCONCLUSIVE}


def main(args: argparse.Namespace) -> int:
    """Load a server, or find the highest rate that it bears; records, figures, verdict.

    All that can be wrong with the options is said before the server is asked for anything.
    """
    _check(args)
    folder = _folder(args)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give another --out")
    targets = parse_slo(args.slo) if args.slo is not None else ()
    how = _search(args) if args.find_capacity else _workload(args)
    scenarios = _scenarios(args.scenarios)
    api = which_api(args.url, args.api)
    work = prepare(
        args.url,
        api,
        stream=args.stream,
        model=args.model,
        scenarios=scenarios,
        seed=args.seed,
    )
    for target in targets:
        if target.measure in ("ttft", "itl") and work.target.stream is None:
            raise InputError(f"--slo {target.text!r}: only streams have tokens; {STREAMS}")
    options = Options(
        work=work,
        scenarios=scenarios,
        targets=targets,
        timeout_s=args.timeout,
        max_in_flight=args.max_in_flight,
        config=_config(args, streamed=work.target.stream is not None),
        command=["harness", *sys.argv[1:]],
    )
    if isinstance(how, Load):
        return _load(how, options, folder, as_json=args.json)
    return _find(how, options, folder, as_json=args.json)


def _load(load: Load, options: Options, folder: Path, *, as_json: bool) -> int:
    loaded = run(load, options, folder, _show(options, as_json, then=OVER))
    found = loaded.figures
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        from harness.report.load import print_load

        print_load(found, folder, options.command)
    if loaded.stopped:
        return INTERRUPTED
    if not found["validity"]["valid"]:
        return INVALID
    if not any(found["outcomes"][outcome] for outcome in ANSWERED):
        return REFUTED
    return OK if found["slo"] is None else HELD[found["slo"]["held"]]


def _find(how: "Search", options: Options, folder: Path, *, as_json: bool) -> int:
    from harness.load.finding import find
    from harness.report.load import print_capacity, print_step

    found = find(options, how, folder, print_step, _show(options, as_json))
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print_capacity(found, folder)
    if found["interrupted"]:
        return INTERRUPTED
    limit = found["capacity"]["limit"]
    return {"nothing holds": REFUTED, "undecided": INCONCLUSIVE, "client": INVALID}.get(limit, OK)


def _search(args: argparse.Namespace) -> "Search":
    from harness.load.finding import Search

    return Search(
        start=None if args.rate is None else _plain_rate(args.rate),
        arrival=args.arrival or ARRIVAL,
        seed=args.seed,
        requests=args.requests or 1,
        seconds=args.duration or DURATION_S,
    )


def _workload(args: argparse.Namespace) -> Load:
    duration, requests = args.duration, args.requests
    if args.trace is not None:
        offsets = read_trace(Path(args.trace), duration=duration, requests=requests)
        text, window = f"trace {args.trace}", duration if requests is None else None
        return open_load(offsets, text, args.max_in_flight, window, callers=args.users)
    if duration is None and requests is None and "@" not in (args.rate or ""):
        duration = DURATION_S
    if args.users is not None and args.rate is None:
        end = f"{requests} requests" if requests is not None else f"{duration:g} s"
        think = f", think {args.think:g} s" if args.think else ""
        spread = args.spread
        if spread is None:
            most = duration * RAMP_SHARE if duration is not None else math.inf
            spread = min(args.users * APART_S, most)
        loop = ClosedLoop(args.users, requests, duration, args.think, spread)
        begun = f", begun over {spread:g} s" if spread >= RAMP_SHOWN_S else ""
        return Load(loop, f"closed, {args.users} users{begun}{think}, {end}", None)
    arrival = args.arrival or ARRIVAL
    arrivals = Arrivals.parse(args.rate, arrival)
    offsets = arrivals.offsets(args.seed, duration=duration, requests=requests)
    text = f"rate={args.rate}, {arrival}, {len(offsets)} requests"
    window = arrivals.seconds(duration) if requests is None else None
    return open_load(offsets, text, args.max_in_flight, window, callers=args.users)


def _check(args: argparse.Namespace) -> None:
    """Whether the options go together. Raises InputError."""
    ways = [name for name in ("users", "rate", "trace") if getattr(args, name) is not None]
    if args.find_capacity:
        if args.slo is None:
            raise InputError("--find-capacity needs --slo: what must hold, such as p95<8s")
        if "users" in ways or "trace" in ways:
            raise InputError("--find-capacity searches over rates: leave out --users and --trace")
        parse_arrival(args.arrival or ARRIVAL)
    elif not ways:
        raise InputError("say how much load: --users N, --rate R or --trace FILE")
    elif "rate" in ways and "trace" in ways:
        raise InputError("say only one of --rate R and --trace FILE")
    if args.arrival and "rate" not in ways and not args.find_capacity:
        raise InputError("--arrival is for --rate")
    if ways != ["users"] and (args.think or args.spread is not None):
        raise InputError("--think and --spread are for --users without --rate or --trace")
    for name, least in (("users", 1), ("requests", 1), ("max_in_flight", 1), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')}: is {value}, must be at least {least}")
    for name in ("duration", "timeout"):
        value = getattr(args, name)
        if value is not None and not 0 < value < 1e7:
            raise InputError(f"--{name}: is {value:g}, must be above 0 and below 1e7 seconds")
    for name in ("think", "spread"):
        if not 0 <= (getattr(args, name) or 0) < 1e7:
            raise InputError(f"--{name}: must be 0 seconds or more")


def _plain_rate(text: str) -> float:
    arrivals = Arrivals.parse(text, "constant")
    first = arrivals.stretches[0]
    if len(arrivals.stretches) > 1 or first.a != first.b or first.seconds is not None:
        raise InputError(f"--rate {text!r}: a search for capacity begins at one rate")
    return first.a


def _scenarios(paths: Sequence[str] | None) -> "Sequence[Scenario]":
    if not paths:
        return ()
    from harness.scenario import load_scenarios

    return load_scenarios(paths)


def _config(args: argparse.Namespace, *, streamed: bool) -> dict[str, Any]:
    """The options as the manifest keeps them, under the names that every run's has; a route of the
    service may be ``streamed`` without --stream.
    """
    return {
        "scenarios": args.scenarios or [],
        "pipelines": ["load"],
        "provider": args.url,
        "concurrency": args.users,
        "workload": None,
        "repeats": 1,
        "seed": args.seed,
        "target": None,
        "timeout": args.timeout,
        "slo": args.slo,
        "stream": streamed,
        "max_in_flight": args.max_in_flight,
    }


def _show(options: Options, quiet: bool, then: str = "") -> Shown:
    """Shows on standard error how far a load is, and ``then`` says what comes next."""

    @contextmanager
    def shown(load: Load) -> Iterator[Progress]:
        workload = load.workload
        if isinstance(workload, ClosedLoop):
            total, seconds = workload.requests, workload.duration_s
        else:
            total, seconds = len(workload.offsets), load.window_s
        text = f"{options.work.url}, {load.text}"
        with show_load(text, total=total, seconds=seconds, quiet=quiet) as progress:
            yield progress
        if then and not quiet:
            print(then, file=sys.stderr)

    return shown


def _folder(args: argparse.Namespace) -> Path:
    if args.out:
        return Path(args.out)
    return Path("reports") / f"load-{datetime.datetime.now():%Y%m%d-%H%M%S}"
