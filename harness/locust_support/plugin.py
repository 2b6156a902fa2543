"""What the locustfile adds to Locust: its options, scenarios, load shapes and the recording."""

import sys
from typing import Any

import gevent
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import Events

from harness.errors import InputError
from harness.exit_codes import WRONG_INPUT
from harness.locust_support.curves import CURVES
from harness.locust_support.hosts import find_hosts
from harness.locust_support.recording import Recording
from harness.locust_support.shapes import Shape
from harness.locust_support.users import Deck, Editor
from harness.scenario import load_scenarios, shipped_dir


def install(events: Events) -> None:
    """Add all of it. Call it once, in the locustfile."""
    events.init_command_line_parser.add_listener(_add_options)
    events.init.add_listener(_prepare)


def _add_options(parser: LocustArgumentParser, **_: Any) -> None:
    parser.add_argument(
        "--harness-out",
        metavar="DIR",
        env_var="HARNESS_OUT",
        help="record every edit in DIR, for harness report, compare and show",
    )
    parser.add_argument(
        "--scenarios",
        metavar="P",
        nargs="+",
        help="files or folders of scenarios (default: the shipped ones)",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--shape",
        choices=sorted(CURVES),
        help="load shape up to --users over --run-time; without it --users stay",
        include_in_web_ui=False,
    )


def _prepare(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    assert options is not None
    options.scenarios = options.scenarios or [str(shipped_dir() / "full")]
    try:
        scenarios = load_scenarios(options.scenarios)
        # Sooner than at the start of the test, unless workers wait for a master to tell them.
        if options.headless and not (options.worker or options.master):
            find_hosts(environment)
    except InputError as error:
        swallowed = {kind.__name__ for kind in environment.user_classes} & {*options.scenarios}
        hint = "; user kinds go before --scenarios" if swallowed else ""
        print(f"locust: {error}{hint}", file=sys.stderr)
        sys.exit(WRONG_INPUT)
    Editor.deck = Deck(scenarios)
    if options.shape:
        environment.shape_class = Shape(CURVES[options.shape], options)
    Recording(environment, scenarios)
    # Timers count from when the loop last looked at the clock, which was before all this: without
    # a look now, --run-time would be shorter by as much.
    gevent.get_hub().loop.update_now()
