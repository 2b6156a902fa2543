"""What is written about the service names what it has."""

import re
from pathlib import Path

from harness.cli import make_parser
from harness.service.contract import ROUTES
from harness.service.docs_page import docs_page
from harness.service.problems import STATUSES
from harness.service.settings import ServiceSettings

GUIDE = (Path(__file__).parents[2] / "docs" / "service.md").read_text("utf-8")


def test_the_guide_names_every_route_and_every_type_of_problem() -> None:
    for route in ROUTES:
        assert f"{route.path}`" in GUIDE, route.path
    for type_ in STATUSES:
        assert f"`{type_}`" in GUIDE, type_


def test_the_guide_and_the_command_line_agree_on_defaults() -> None:
    args = make_parser().parse_args(["serve"])
    defaults = ServiceSettings()
    named = dict(re.findall(r"`--([a-z-]+) ([\d.]+)`", GUIDE))
    assert {"concurrency", "threads", "queue", "deadline", "grace"} <= named.keys()
    for name, value in re.findall(r"--([a-z-]+) ([\d.]+)", GUIDE):
        field = name.replace("-", "_")
        if field in ServiceSettings.model_fields:
            assert float(value) == getattr(defaults, field), name
    for field in ServiceSettings.model_fields:
        assert hasattr(args, field), f"--{field} is no option"
        assert getattr(args, field) is None


def test_the_page_escapes_what_it_shows() -> None:
    page = docs_page()
    assert "<script" not in page
    assert page.count("<details>") == page.count("</details>")
