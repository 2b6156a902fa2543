"""The command line: what can be said. What it does is in ``harness.commands``, imported late.

Over 300 lines: one list of options a command, and nothing else.
"""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence

from harness import __version__
from harness.errors import InputError
from harness.exit_codes import INTERRUPTED, OK, WRONG_INPUT


class _Parser(argparse.ArgumentParser):
    """One clear line on wrong usage, as for any wrong input."""

    def error(self, message: str) -> "None":  # type: ignore[override]
        raise InputError(f"{message} (see {self.prog} --help)")


def _names(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name between its commas")
    return names


def _command(
    commands: "argparse._SubParsersAction[_Parser]", name: str, about: str, example: str
) -> _Parser:
    parser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def _add_run(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "run",
        "Run scenarios through pipelines; record, compare and report.",
        "harness run --pipelines sync,async,batched --concurrency 4 --out reports/run-1",
    )
    add = parser.add_argument
    add("--scenarios", nargs="+", metavar="P", help="files or folders (default: all shipped ones)")
    add(
        "--pipelines",
        type=_names,
        metavar="A,B",
        help="sync, sync-threads, async, batched, streaming, fallback, service:URL or your "
        "module:object; the first is the baseline (default: sync,async,batched)",
    )
    add(
        "--provider",
        metavar="X",
        help="sim[:PROFILE] (default), local[:MODEL.gguf], or http(s)://HOST/v1 "
        "with its key in HARNESS_API_KEY",
    )
    add("--concurrency", type=int, metavar="N", help="trials in flight (default: 4)")
    add("--batch-size", type=int, metavar="B", help="of batched (default: the concurrency)")
    add("--group", type=int, metavar="K", help="scenarios in a block (default: 4N, 1 if N is 1)")
    add(
        "--workload",
        metavar="W",
        help="closed, closed,think=S, burst, rate=R or rate=R,constant (default: closed)",
    )
    add("--repeats", type=int, metavar="R", help="rounds that count (default: 3)")
    add(
        "--warmup",
        type=int,
        nargs="?",
        const=1,
        metavar="R",
        help="rounds before them, which do not count (default: 1)",
    )
    add("--seed", type=int, metavar="S", help="of orders and of the simulator (default: 0)")
    add("--time-scale", type=float, metavar="F", help="simulator only: 0.02 is 50 times faster")
    add("--no-summary", dest="summary", action="store_const", const=False, help="one call only")
    add(
        "--constrained",
        action="store_const",
        const=True,
        help="ask the server to keep to the story's JSON Schema",
    )
    add("--aa", action="store_const", const=True, help="run the baseline a second time")
    add("--rate-limit", type=float, metavar="R", help="provider calls per second at most")
    add("--target", type=float, metavar="S", help="response time that goodput demands, seconds")
    add("--timeout", type=float, metavar="S", help="of one call, seconds (default: 300)")
    add("--model", metavar="NAME", help="model to ask for (default: the server's first)")
    add("--out", metavar="DIR", help="folder of the run (default: reports/run-TIME)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--strict", action="store_true", help="exit 4 when the run is invalid")
    parser.add_argument("--lang", choices=("en", "ko"), default="en", help="of the report")
    parser.set_defaults(handler="run")


def _add_claim(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "claim",
        "Run what claims need and give their verdicts; the worst decides the exit code.",
        "harness claim scenarios/claims/async-15.toml --time-scale 0.02",
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="claim files, or folders of them")
    add("--provider", metavar="X", help="as in run (default: the simulator, each claim's profile)")
    add("--time-scale", type=float, default=1.0, metavar="F", help="simulator only: 0.02 is x 50")
    add("--seed", type=int, default=0, metavar="S", help="of orders and of the simulator")
    add("--sequential", action="store_true", help="look after every round; always valid")
    add("--plan", action="store_true", help="only say what the claims will take")
    add("--pilot", metavar="RUN", help="with --plan: a recorded run that shows the spread")
    add(
        "--prices",
        type=float,
        nargs=2,
        metavar=("IN", "OUT"),
        help="with --plan: of a million prompt and completion tokens",
    )
    add("--out", metavar="DIR", help="folder of the experiments (default: reports/run-TIME)")
    parser.add_argument("--lang", choices=("en", "ko"), default="en", help="of the verdicts")
    parser.set_defaults(handler="claim")


def _add_simulate(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "simulate",
        "Serve the simulated LLM over HTTP; prints 'listening on URL' when ready.",
        "harness simulate --port 8001 --profile report-2025 --time-scale 0.02",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=int, default=0, help="port; 0 takes a free one (default)")
    add("--profile", default="default", metavar="P", help="a shipped profile or a .toml")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="for callers that send no draw of their own",
    )
    add("--time-scale", type=float, default=1.0, metavar="F", help="0.02 is 50 times faster")
    add("--require-key", action="store_true", help="demand the key in HARNESS_API_KEY")
    parser.set_defaults(handler="simulate")


def _add_serve(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "serve",
        "Serve the pipelines over HTTP; prints 'listening on URL' when ready. GET /docs shows how.",
        "harness serve --port 8000 --provider sim:report-2025 --time-scale 0.02",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=int, default=0, help="port; 0 takes a free one (default)")
    add("--provider", default="sim", metavar="X", help="as in run (default: sim)")
    add("--model", metavar="NAME", help="model to ask for (default: the server's first)")
    add("--seed", type=int, metavar="S", help="of the simulator (default: 0)")
    add("--time-scale", type=float, default=1.0, metavar="F", help="simulator only: 0.02 is x 50")
    add("--concurrency", type=int, metavar="N", help="edits in flight, adaptive, at most (64)")
    add("--threads", type=int, metavar="N", help="edits of the blocking route at once (8)")
    add("--queue", type=int, metavar="N", help="edits that may wait before 503 (256)")
    add("--deadline", type=float, metavar="S", help="of one edit, seconds (120)")
    add("--grace", type=float, metavar="S", help="for edits in flight when stopped, seconds (10)")
    add("--jobs", type=int, metavar="N", help="background jobs kept (1000)")
    add("--jobs-keep", type=float, metavar="S", help="how long an ended one is kept (3600)")
    add("--cache", type=int, metavar="N", help="answers kept for equal requests (0: no cache)")
    add("--cache-keep", type=float, metavar="S", help="for how long, seconds (3600)")
    add("--rate-limit", type=float, metavar="R", help="provider calls per second at most")
    add("--no-summary", dest="summary", action="store_const", const=False, help="one call only")
    add(
        "--constrained",
        action="store_const",
        const=True,
        help="ask the model's server to keep to the story's JSON Schema",
    )
    add("--token-env", metavar="VAR", help="demand the bearer token that this variable holds")
    parser.add_argument(
        "--log-requests", action="store_true", help="a line on standard error for each request"
    )
    parser.set_defaults(handler="serve")


def _add_scenarios(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "scenarios",
        "List the fixtures, or check them.",
        "harness scenarios check scenarios/full",
    )
    parser.add_argument("action", choices=("list", "check"))
    parser.add_argument("paths", nargs="*", metavar="P", help="files or folders (default: shipped)")
    parser.set_defaults(handler="scenarios")


def _add_show(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "show",
        "Show a run's trials, failed ones first, or one trial with its answer and failed checks.",
        "harness show reports/demo ko-sea-news-wheel/async/1",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a run")
    parser.add_argument(
        "trial", nargs="?", metavar="TRIAL", help="id of one (default: a row for each)"
    )
    parser.add_argument("--outcome", metavar="O,..", help="only trials with these outcomes")
    parser.add_argument(
        "--all",
        action="store_true",
        help="every trial; without it a long run shows 50, the failed ones first (--json has all)",
    )
    parser.set_defaults(handler="show")


def _add_report(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "report",
        "Make the report again, from the records alone; of several runs, their comparison.",
        "harness report reports/demo --lang ko",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folder of a run; the others against the first"
    )
    parser.add_argument(
        "--format",
        choices=("html", "md", "ipynb"),
        default="html",
        help="page (default), Markdown for a pull request, or a notebook",
    )
    parser.add_argument("--lang", choices=("en", "ko"), default="en", help="of the report")
    parser.set_defaults(handler="report")


def _add_compare(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "compare",
        "Compare two runs, A (old) and B (new), and hold gates against what changed.",
        "harness compare reports/main reports/branch --gate 'p95<=+5%' --junit gates.xml",
    )
    add = parser.add_argument
    add("run_a", metavar="RUN_A", help="folder of the old run")
    add("run_b", metavar="RUN_B", help="folder of the new run")
    add(
        "--gate",
        action="append",
        metavar="EXPR",
        help="such as 'p95<=+5%%', 'success>=-2' (points) or 'p95<8s'; may be given several times; "
        "exit 0 all hold, 1 one is broken, 3 one is undecided",
    )
    add(
        "--pipelines",
        type=_names,
        metavar="OLD=NEW,..",
        help="pipelines to compare, by one name or by theirs in A and B (default: all in both)",
    )
    add("--markdown", metavar="F", help="write the comparison for a pull request into F")
    add("--junit", metavar="F", help="write the gates as JUnit XML into F")
    parser.set_defaults(handler="compare")


def _add_load(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "load",
        "Load a server over HTTP; or find the highest rate at which it holds its targets.",
        "harness load http://127.0.0.1:8000/v1 --stream --rate 20 --duration 60 --slo 'p95<8s'",
    )
    add = parser.add_argument
    add("url", metavar="URL", help="a full route of the service, or the /v1 base of a model")
    add("--api", choices=("service", "openai", "get"), help="default: what the URL looks like")
    add("--stream", action="store_true", help="ask for streams; times tokens as they come")
    add(
        "--users",
        type=int,
        metavar="N",
        help="closed loop: N users, each awaiting his answers; with --rate or --trace: N callers "
        "carry the schedule, and what is due while all are busy waits",
    )
    add("--think", type=float, default=0.0, metavar="S", help="of a user between two requests")
    add("--spread", type=float, metavar="S", help="for users to begin (default: 1 ms each)")
    add(
        "--rate",
        metavar="R",
        help="open loop: requests per second; a ramp A..B; steps R,R,R; each may have its "
        "seconds: 10..50@60,50@300. With --find-capacity: where to begin",
    )
    add(
        "--arrival",
        metavar="A",
        help="of a rate: poisson (default), constant or gamma:CV",
    )
    add("--trace", metavar="F", help="open loop: the moments of a JSONL or CSV file")
    add("--duration", type=float, metavar="S", help="of sending, seconds (default: 10); of a step")
    add("--requests", type=int, metavar="N", help="to send at most; in a step at least")
    add("--slo", metavar="T", help="targets: 'p95<8s,ttft_p95<1s,success>=0.99'")
    add("--find-capacity", action="store_true", help="search for the highest rate that holds --slo")
    add("--scenarios", nargs="+", metavar="P", help="files or folders; their answers are judged")
    add("--model", metavar="NAME", help="model to ask for (default: the server's first)")
    add("--seed", type=int, default=0, metavar="S", help="of the schedule and the order")
    add("--timeout", type=float, default=300.0, metavar="S", help="of a request (default: 300)")
    add(
        "--max-in-flight",
        type=int,
        default=10_000,
        metavar="N",
        help="open loop: more are dropped and counted (default: 10000)",
    )
    add("--out", metavar="DIR", help="folder of the run (default: reports/load-TIME)")
    parser.set_defaults(handler="load")


def _add_demo(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = _command(
        commands,
        "demo",
        "Show five ways of asking for an edit in the browser, or with --plain in the terminal.",
        "harness demo --lang ko",
    )
    add = parser.add_argument
    add("--plain", action="store_true", help="in the terminal; exit 1 if a way brings no story")
    add("--port", type=int, default=0, help="of the page; 0 takes a free one (default)")
    add("--provider", metavar="X", help="as in run (default: sim:report-2025)")
    add("--model", metavar="NAME", help="model to ask for (default: the server's first)")
    add(
        "--time-scale",
        type=float,
        metavar="F",
        help="simulator only: 0.02 is x 50 (default: 0.3; 1 with --provider)",
    )
    add("--scenario", metavar="ID", help="to begin with, as `harness scenarios list` names it")
    add("--runs", default="reports", metavar="DIR", help="folder of recorded runs to explore")
    add("--lang", choices=("en", "ko"), default="en", help="to begin with")
    parser.set_defaults(handler="demo")


def make_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = _Parser(
        prog="harness",
        description="Benchmark and evaluate LLM edit pipelines.",
        epilog="exit codes: 0 done, 1 refuted or failed, 2 wrong input, 3 inconclusive, "
        "4 invalid run, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"harness {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for add in (
        _add_run,
        _add_claim,
        _add_load,
        _add_simulate,
        _add_serve,
        _add_demo,
        _add_scenarios,
        _add_show,
        _add_report,
        _add_compare,
    ):
        add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is its result."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without Hangul shows its codes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        args = make_parser().parse_args(argv)
        module = importlib.import_module(f"harness.commands.{args.handler}")
        command: Callable[[argparse.Namespace], int] = module.main
        return command(args)
    except InputError as error:
        print(f"harness: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`harness show | head`): nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
