"""Properties are judged by what they say, not by how fast a loaded machine finds examples."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import packages.archive
import wheelhouse.advisories
import wheelhouse.store
from wheelhouse.judges.pool import Judges

if settings.get_current_profile_name() != "ci":  # that one is unhurried already
    settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def judges() -> Iterator[Judges]:
    """The judges of the session: a house or bundles that are given none share them.

    Otherwise each of the hundreds that tests open would start an interpreter of its own.
    """
    with Judges() as shared, pytest.MonkeyPatch.context() as patch:
        for module in (wheelhouse.store, wheelhouse.advisories, packages.archive):
            patch.setattr(module, "Judges", lambda: shared)
        yield shared
