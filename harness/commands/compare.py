"""``harness compare``."""

import argparse
import json
from pathlib import Path

from harness.comparing import Outcome, compare_runs, parse_gates, parse_pairs
from harness.errors import InputError
from harness.exit_codes import INCONCLUSIVE, OK, REFUTED
from harness.locust_support.merging import gather
from harness.report.comparing.data import as_data
from harness.report.comparing.junit import junit
from harness.report.comparing.markdown import markdown
from harness.report.comparing.terminal import print_comparison
from harness.store import write_atomically
from harness.trials import read_columns

EXIT: dict[Outcome | None, int] = {None: OK, "pass": OK, "fail": REFUTED, "undecided": INCONCLUSIVE}


def main(args: argparse.Namespace) -> int:
    """Compare two runs from their records, hold the gates against them, and write what is asked."""
    gates = parse_gates(args.gate or [])
    pairs = None if args.pipelines is None else parse_pairs(args.pipelines)
    if args.junit and not gates:
        raise InputError("--junit: there is nothing to test without --gate")
    folders = [Path(args.run_a), Path(args.run_b)]
    for folder in folders:
        gather(folder)
    old, new = map(read_columns, folders)
    result = compare_runs(old, new, gates, pairs)
    code = EXIT[result.outcome]
    if args.markdown:
        _write("--markdown", Path(args.markdown), markdown(result).encode())
    if args.junit:
        _write("--junit", Path(args.junit), junit(result))
    if args.json:
        print(json.dumps(as_data(result, code), ensure_ascii=False, allow_nan=False))
    else:
        print_comparison(result)
    return code


def _write(option: str, path: Path, data: bytes) -> None:
    if path.is_dir():
        raise InputError(f"{option} {path}: is a folder; name a file")
    write_atomically(path, data)
