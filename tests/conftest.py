"""Properties are judged by what they say, not by how fast a loaded machine finds examples."""

from hypothesis import HealthCheck, settings

if settings.get_current_profile_name() != "ci":  # that one is unhurried already
    settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("unhurried")
