import json
from pathlib import Path
from typing import Any


def print_summary(summary: dict[str, Any], folder: Path, *, as_json: bool) -> None:
    print(
        json.dumps(summary["pipelines"] if not as_json else summary, ensure_ascii=False, indent=1)
    )
    print(
        json.dumps(summary["validity"]),
        json.dumps(summary["comparisons"]),
        summary["client_error_s"],
    )
