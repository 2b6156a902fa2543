"""``harness report``."""

import argparse
import json
from pathlib import Path

from harness.errors import InputError
from harness.exit_codes import OK
from harness.locust_support.merging import gather
from harness.report.publish import publish, report


def main(args: argparse.Namespace) -> int:
    """Make the report of recorded runs: of one, or of several against the first."""
    folders = [Path(run) for run in args.runs]
    for folder in folders:
        gather(folder)
    if args.json:
        if len(folders) > 1 or args.format != "html":
            raise InputError("--json: is for the HTML report of one run; see also harness compare")
        print(json.dumps(publish(folders[0], args.lang), ensure_ascii=False))
    else:
        print(report(folders, args.format, args.lang))
    return OK
