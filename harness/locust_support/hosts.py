"""The address that users ask, looked at before a test: a wrong one fails once, not every time."""

import re

from locust.env import Environment

from harness.errors import InputError

_ADDRESS = re.compile(r"https?://[^/\s]+(/\S*)?")


def find_hosts(environment: Environment) -> None:
    """Give every kind of user its address as Locust needs it, without a slash at the end.

    Raises InputError where there is none.
    """
    if environment.host:
        environment.host = _address(environment.host)
    for kind in environment.user_classes:
        kind.host = _address(environment.host or kind.host or "")


def _address(host: str) -> str:
    if not _ADDRESS.fullmatch(host):  # it is not shown: it may hold a password
        raise InputError("the host is no address of a service: write -H http://HOST:PORT")
    return host.rstrip("/")
