"""Settings come from many places; the later place wins, and every fault is told at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.faults.errors import SettingsRefused
from runtime.home.factories import policy_of
from runtime.settings.setting_types import without_login
from runtime.settings.settings import load


def test_each_place_wins_over_the_one_before(tmp_path: Path) -> None:
    xdg = tmp_path / "xdg"
    (xdg / "fumehood").mkdir(parents=True)
    (xdg / "fumehood/config.toml").write_text("port = 1\nslots = 1\nqueue_limit = 1\ndrain_s = 1\n")
    chosen = tmp_path / "mine.toml"
    chosen.write_text("slots = 2\nqueue_limit = 2\ndrain_s = 2\n")
    secrets = tmp_path / "credentials"
    secrets.mkdir()
    (secrets / "fumehood_queue_limit").write_text("3\n")
    (secrets / "fumehood_drain_s").write_text("3\n")
    environ = {
        "XDG_CONFIG_HOME": str(xdg),
        "CREDENTIALS_DIRECTORY": str(secrets),
        "FUMEHOOD_DRAIN_S": "4",
        "FUMEHOOD_HOST": "0.0.0.0",
    }

    loaded = load({"host": "::1"}, environ=environ, config_file=chosen)

    settings = loaded.settings
    assert (settings.port, settings.slots, settings.queue_limit) == (1, 2, 3)
    assert (settings.drain_s, settings.host) == (4.0, "::1")
    assert loaded.origins["slots"] == str(chosen)
    assert loaded.origins["drain_s"] == "environment"
    assert loaded.origins["host"] == "command line"
    assert "most_attempts" not in loaded.origins


def test_nested_settings_keep_what_was_not_given() -> None:
    default = load(environ={}).settings.limits
    limits = load(environ={"FUMEHOOD_LIMITS__WALL_S": "5"}).settings.limits
    assert limits.wall_s == 5
    assert limits.memory_mb == default.memory_mb


def test_every_fault_is_told_at_once_with_its_origin() -> None:
    environ = {"FUMEHOOD_PROT": "1", "FUMEHOOD_PORT": "x", "FUMEHOOD_LIMITS__WALLS": "1"}
    with pytest.raises(SettingsRefused) as refused:
        load(environ=environ)
    told = {problem.where: problem.code for problem in refused.value.problems}
    assert told == {
        "prot (from environment)": "unknown-setting",
        "port (from environment)": "invalid-setting",
        "limits.walls (from environment)": "unknown-setting",
    }


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "fumehood.toml"
    broken.write_text("port = = 1")
    with pytest.raises(SettingsRefused, match="not valid TOML"):
        load(environ={}, config_file=broken)
    with pytest.raises(SettingsRefused, match="no settings file"):
        load(environ={}, config_file=tmp_path / "absent.toml")


def test_secrets_keep_their_case_and_are_never_shown() -> None:
    settings = load(environ={"FUMEHOOD_SECRETS__API_KEY": "hunter2"}).settings
    assert settings.secrets["API_KEY"].get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


@given(st.dictionaries(st.text("ABCXYZ_", min_size=1, max_size=12), st.text(max_size=5)))
def test_any_environment_gives_settings_or_a_list_of_problems(environ: dict[str, str]) -> None:
    named = {f"FUMEHOOD_{name}": value for name, value in environ.items()}
    try:
        load(environ=named)
    except SettingsRefused as refused:
        assert refused.problems


@pytest.mark.parametrize(
    ("told", "newest"),
    [
        ("7d", timedelta(days=7)),
        ("36h", timedelta(hours=36)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:00:00Z", datetime(2026, 11, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_cooldown_is_a_moment_or_an_age(told: str, newest: datetime | timedelta) -> None:
    settings = load(environ={"FUMEHOOD_LOCK__EXCLUDE_NEWER": told}).settings
    assert settings.lock.exclude_newer == newest
    now = datetime(2026, 11, 24, tzinfo=UTC)
    cutoff = policy_of(settings.lock).cutoff(now)
    assert cutoff == (now - newest if isinstance(newest, timedelta) else newest)


def test_the_rules_for_locks_come_from_a_file_or_from_the_environment(tmp_path: Path) -> None:
    chosen = tmp_path / "mine.toml"
    chosen.write_text('[lock]\nallow = ["six>=1,<2", "demo"]\nexclude_newer = 2026-11-01\n')
    written = load(environ={}, config_file=chosen).settings.lock
    assert written.allow == ("six>=1,<2", "demo")
    assert written.exclude_newer == datetime(2026, 11, 1, tzinfo=UTC)
    for told in ("six>=1,<2 demo", '["six>=1,<2", "demo"]'):
        assert load(environ={"FUMEHOOD_LOCK__DENY": told}).settings.lock.deny == written.allow


def test_a_rule_that_could_never_match_is_refused_at_start() -> None:
    environ = {
        "FUMEHOOD_LOCK__DENY": '["six <", "demo[extra]", "demo @ https://example.invalid/d.whl"]',
        "FUMEHOOD_LOCK__ALLOW": '["six',
        "FUMEHOOD_LOCK__EXCLUDE_NEWER": "soon",
    }
    with pytest.raises(SettingsRefused) as refused:
        load(environ=environ)
    assert sorted(problem.where for problem in refused.value.problems) == [
        "lock.allow (from environment)",
        "lock.deny.0 (from environment)",
        "lock.deny.1 (from environment)",
        "lock.deny.2 (from environment)",
        "lock.exclude_newer (from environment)",
    ]


def test_jobs_have_no_network_until_an_admin_says_which() -> None:
    assert load(environ={}).settings.network_of_runs() is None
    environ = {
        "FUMEHOOD_RUN_NETWORK": "true",
        "FUMEHOOD_RUN_NETWORK_HOSTS": "api.example.org *.example.net",
        "FUMEHOOD_RUN_NETWORK_PRIVATE": '["10.1.0.0/16"]',
    }
    rules = load(environ=environ).settings.network_of_runs()
    assert rules is not None
    assert rules.hosts == ("api.example.org", "*.example.net")
    assert (rules.ports, rules.private) == ((443, 80), ("10.1.0.0/16",))


def test_each_wrong_host_port_and_network_is_told() -> None:
    environ = {
        "FUMEHOOD_RUN_NETWORK_HOSTS": "https://example.org api.example.org 10.0.0.1",
        "FUMEHOOD_RUN_NETWORK_PORTS": "443 53",
        "FUMEHOOD_RUN_NETWORK_PRIVATE": "10.0.0.1/8",
    }
    with pytest.raises(SettingsRefused) as refused:
        load(environ=environ)
    wrong = [problem.where.partition(" ")[0] for problem in refused.value.problems]
    assert wrong == [
        *("run_network_hosts.0", "run_network_hosts.2"),
        *("run_network_ports.1", "run_network_private.0"),
    ]


GREEDY = "run_network = true\nleast_level = 'process'\n"


def test_a_file_in_the_current_folder_is_never_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fumehood.toml").write_text(GREEDY)
    (tmp_path / "fumehood").mkdir()
    (tmp_path / "fumehood/config.toml").write_text(GREEDY)
    (tmp_path / "fumehood_run_network").write_text("true")
    (tmp_path / ".env").write_text("FUMEHOOD_RUN_NETWORK=true\n")
    monkeypatch.chdir(tmp_path)
    for environ in ({}, {"XDG_CONFIG_HOME": "."}, {"CREDENTIALS_DIRECTORY": ""}):
        loaded = load(environ=environ)
        assert not loaded.settings.run_network, environ
        assert not any(path.is_relative_to(tmp_path) for path in loaded.files)
    assert load(environ={"FUMEHOOD_CONFIG": "fumehood.toml"}).settings.run_network


def test_a_settings_file_that_was_named_and_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match="no settings file"):
        load(environ={"FUMEHOOD_CONFIG": str(tmp_path / "absent.toml")})


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://queue:6379/0", "redis://queue:6379/0"),
        ("redis://ana:secret@queue", "redis://**********@queue"),
        ("redis://queue?password=secret&db=1", "redis://queue?password=**********&db=1"),
        ("postgresql://ana:se/cret@db/name", "postgresql://**********@db/name"),
        ("postgresql://ana:sec@ret@db/name", "postgresql://**********@db/name"),
        (
            "postgresql:///name?user=ana&passwd=secret",
            "postgresql:///name?user=ana&passwd=**********",
        ),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(address: str, shown: str) -> None:
    assert without_login(address) == shown
