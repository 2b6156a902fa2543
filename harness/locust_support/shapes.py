"""Load shapes for Locust from curves: their peak is ``--users``, their length ``--run-time``."""

from argparse import Namespace

from locust import LoadTestShape

from harness.locust_support.curves import Curve

RUN_S = 60
SPAWN_RATE = 100.0  # users per second; more than that Locust advises against


class Shape(LoadTestShape):
    """Sets the number of users about once a second, along a curve."""

    abstract = True  # not one to be found in a locustfile: ``--shape`` chooses
    use_common_options = True

    def __init__(self, curve: Curve, options: Namespace) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._curve = curve
        self._options = options

    def tick(self) -> tuple[int, float] | None:
        """(users, users per second until they are there); None: the test is over."""
        gone: float = self.get_run_time()  # type: ignore[no-untyped-call]
        over = gone / (self._options.run_time or RUN_S)
        if over >= 1:
            return None
        return self._curve(over, self._options.num_users or 1), SPAWN_RATE
