"""The service that most of these tests load."""

from collections.abc import Iterator

import pytest

from tests.locust.children import service


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service whose model answers rightly within 0.1 s."""
    with service(tmp_path_factory.mktemp("service")) as found:
        yield found
