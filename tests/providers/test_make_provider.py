"""What ``--provider`` may say."""

import pytest

from harness.clock import ManualClock
from harness.errors import InputError
from harness.providers import ProviderSettings, make_provider
from harness.providers.openai_http import HttpProvider
from harness.providers.openai_wire import KEY_VARIABLE
from harness.providers.simulated import SimulatedProvider
from harness.providers.throttled import Throttled
from tests.simulated import KEY


def settings(spec: str, **more: object) -> ProviderSettings:
    return ProviderSettings(spec, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "profile"),
    [("sim", "default"), ("sim:", "default"), ("sim:report-2025", "report-2025")],
)
def test_the_simulator(spec: str, profile: str) -> None:
    provider = make_provider(settings(spec, time_scale=0.5), ManualClock(), [])
    assert isinstance(provider, SimulatedProvider)
    assert provider.describe()["profile"] == profile
    assert provider.describe()["time_scale"] == 0.5


@pytest.mark.parametrize("key", [KEY, ""])
def test_a_url_with_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(KEY_VARIABLE, key)
    provider = make_provider(settings("http://h:1/v1", model="m"), ManualClock(), [])
    assert isinstance(provider, HttpProvider)
    assert provider.base == "http://h:1/v1"
    assert KEY not in str(provider.describe())
    assert provider._headers("").get("Authorization") == (f"Bearer {KEY}" if key else None)


def test_a_rate_limit_goes_outside() -> None:
    provider = make_provider(settings("sim", rate_limit=2.5), ManualClock(), [])
    assert isinstance(provider, Throttled)
    assert provider.describe()["rate_limit"] == 2.5


@pytest.mark.parametrize("spec", ["", "simulator", "openai", "ftp://h/v1", "h:80/v1", "sim/x"])
def test_what_names_none(spec: str) -> None:
    with pytest.raises(InputError, match="no such provider; write sim"):
        make_provider(settings(spec), ManualClock(), [])


@pytest.mark.parametrize("spec", ["local", "http://h/v1", "https://h/v1"])
def test_only_the_simulator_keeps_another_time(spec: str) -> None:
    with pytest.raises(InputError, match="--time-scale is for the simulator"):
        make_provider(settings(spec, time_scale=0.5), ManualClock(), [])


def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no such simulator profile"):
        make_provider(settings("sim:fast"), ManualClock(), [])
