"""``harness report``."""

import argparse
import json
from pathlib import Path

from harness.exit_codes import OK
from harness.report.publish import publish


def main(args: argparse.Namespace) -> int:
    """Make the report of a recorded run again."""
    folder = Path(args.run)
    summary = publish(folder, args.lang)
    print(json.dumps(summary, ensure_ascii=False) if args.json else folder / "index.html")
    return OK
