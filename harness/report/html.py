from typing import Any

from harness.store import Run


def page(run: Run, summary: dict[str, Any], lang: str) -> str:
    return "<html></html>"
