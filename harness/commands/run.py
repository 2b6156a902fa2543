"""``harness run``."""

import argparse
import datetime
import sys
from pathlib import Path
from typing import Any

from harness.clock import run_loop
from harness.config import RunConfig
from harness.errors import InputError
from harness.execute import record
from harness.exit_codes import INTERRUPTED, INVALID, OK
from harness.report.progress import show_run
from harness.report.publish import publish
from harness.report.terminal import print_summary
from harness.report.words import Words
from harness.scenario import shipped_dir
from harness.session import new_session, resumed_session
from harness.store import RunWriter


def main(args: argparse.Namespace) -> int:
    """Make or resume a run, then its summary and report."""
    given = _given(args)
    folder = _folder(args)
    if args.resume:
        session, writer = resumed_session(folder, given)
    else:
        session = new_session({"scenarios": [str(shipped_dir())], **given})
        writer = RunWriter.create(
            folder,
            session.manifest(["harness", *sys.argv[1:]]),
            or_else=", or --resume to go on with it",
        )
    with writer, show_run(session, folder, quiet=args.json, lang=args.lang) as progress:
        try:
            whole = session.already >= session.total or run_loop(record(session, writer, progress))
        finally:
            writer.drop_if_unbegun()
    if not whole:  # what follows takes seconds
        print(Words(args.lang)("terminal.writing"), file=sys.stderr, flush=True)
    summary = publish(folder, args.lang)
    print_summary(summary, folder, as_json=args.json, lang=args.lang)
    if not whole:
        return INTERRUPTED
    return INVALID if args.strict and not summary["validity"]["valid"] else OK


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, by their names in the configuration."""
    return {
        name: value
        for name in RunConfig.model_fields
        if (value := getattr(args, name, None)) is not None
    }


def _folder(args: argparse.Namespace) -> Path:
    if args.out:
        return Path(args.out)
    if args.resume:
        raise InputError("--resume needs --out, the folder of the run to go on with")
    return Path("reports") / f"run-{datetime.datetime.now():%Y%m%d-%H%M%S}"
