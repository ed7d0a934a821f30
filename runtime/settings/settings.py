"""The settings, where each one came from, and how the sources are laid over each other.

The later wins: default, /etc, XDG config, --config or FUMEHOOD_CONFIG, credentials folder,
FUMEHOOD_* (`__` nests), flags of the command line. Unknown keys are errors. Nothing is ever read
because it lies in the current folder: that may be a bundle, which would grant itself the network.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import platformdirs
from pydantic import (
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from frozen.values import frozen
from runtime.faults.errors import SettingsRefused
from runtime.settings.door_settings import PREFIX, DoorSettings
from runtime.settings.setting_types import (
    BucketUrl,
    DatabaseUrl,
    DispatchSettings,
    Hosts,
    IndexSettings,
    Labels,
    LockSettings,
    Networks,
    Ports,
    TelemetrySettings,
    WebhookSettings,
    without_login,
)
from runtime.values.around.retention import RetentionSettings
from sandbox.command import Level
from sandbox.limits import Limits
from sandbox.network_rules import NetworkRules
from wheelhouse.problem import Problem

CLIENT_VARIABLES = frozenset({"FUMEHOOD_URL", "FUMEHOOD_CONFIG", "FUMEHOOD_TOKEN"})
"""Read by the command line, not settings of the appliance."""

type Tree = dict[str, object]


class Settings(DoorSettings):
    """Every setting of the appliance."""

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("fumehood")),
        description="The data folder: database, bundles, wheels, artifacts.",
    )
    docket_url: Annotated[str, PlainSerializer(without_login, when_used="json")] = Field(
        "memory://", description="Where Docket keeps its queue; memory:// for one process."
    )
    database_url: DatabaseUrl = Field(
        "", description="The PostgreSQL that all machines share; empty for a file in the home."
    )
    blobs_url: BucketUrl = Field(
        "", description="The bucket that all machines share, as s3://name; empty: in the home."
    )
    blobs_cache_mb: int = Field(
        10_240, ge=0, description="Of the bucket's inputs and outputs, how many MiB are kept here."
    )
    worker_cache_mb: int = Field(
        20_480, ge=0, description="Of what a worker fetched to run jobs, how many MiB it keeps."
    )
    carry_environments: bool = Field(
        True, description="Whether environments go through the bucket as they were built."
    )
    docket_name: str = Field("fumehood", description="The name of the Docket queue.")
    docket_keep_s: int = Field(
        0, ge=0, description="How long Docket keeps what became of a ticket, for its own tools."
    )
    durable_queue: bool = Field(
        False,
        description="Whether `fumehood up` runs a Valkey of its own, on a socket in the home.",
    )
    writer_process: bool = Field(
        True, description="Whether a second process writes while jobs are many."
    )
    docket_check_interval_ms: int = Field(
        250, ge=1, le=1000, description="Milliseconds between a full worker's looks for free slots."
    )
    labels: Labels = Field(
        (), description="What this worker has beside others, for packages that need it: gpu, …"
    )
    slots: Annotated[int, Field(ge=1, le=1024)] = Field(
        default_factory=lambda: max(2, os.cpu_count() or 1),
        description="How many attempts one worker runs at a time.",
    )
    queue_limit: int = Field(10_000, ge=1, description="Most jobs that wait; further ones get 429.")
    idempotency_h: float = Field(
        24.0, gt=0, description="Hours for which an Idempotency-Key is known."
    )
    question_h: float = Field(
        168.0, gt=0, le=8760, description="Hours for which a job waits for an answer at most."
    )
    most_attempts: int = Field(
        3, ge=1, description="Attempts before an infrastructure failure is final."
    )
    reconcile_interval_s: float = Field(
        5.0, gt=0, description="Seconds between searches for work that was lost."
    )
    worker_lost_after_s: float = Field(
        30.0, gt=0, description="Seconds without a heartbeat after which a worker counts as dead."
    )
    drain_s: float = Field(
        20.0, ge=0, description="Seconds that running attempts get to finish at shutdown."
    )
    bundle_most_mb: int = Field(256, ge=1, description="The largest bundle accepted, in MiB.")
    input_most_mb: int = Field(1024, ge=1, description="All inputs of one job together, in MiB.")
    wheel_most_mb: int = Field(1024, ge=1, description="The largest wheel accepted, in MiB.")
    inputs_most: int = Field(1000, ge=1, description="How many input files one job may have.")
    least_level: Level = Field(
        Level.UNPRIVILEGED, description="The isolation level below which nothing runs."
    )
    limits: Limits = Field(
        Limits(
            wall_s=3600,
            cpu_s=3600,
            memory_mb=8192,
            processes=512,
            open_files=4096,
            output_mb=4096,
            scratch_mb=4096,
            output_files=100_000,
            log_kb=16_384,
            log_lines=200_000,
            result_kb=16_384,
            cpus=float(os.cpu_count() or 1),
        ),
        description="The most that any manifest can raise its limits to.",
    )
    run_network: bool = Field(
        False, description="Whether manifests may ask for the network in jobs."
    )
    run_network_hosts: Hosts = Field(
        (), description="Hosts that such a job may reach: names, *.example.org, or * for any."
    )
    run_network_ports: Ports = Field((443, 80), description="Ports that such a job may reach.")
    run_network_private: Networks = Field(
        (), description="Private addresses and networks that such a job may reach all the same."
    )
    run_network_mb: int = Field(
        4096, ge=1, description="Most traffic of one run, in both directions, in MiB."
    )
    run_network_ca_bundle: Path | None = Field(
        None, description="The CA certificates that such a job trusts, if not the host's own."
    )
    source_builds: bool = Field(False, description="Whether wheels may be built from source.")
    index: IndexSettings = Field(
        IndexSettings(), description="The package index that the open gate leads to."
    )
    lock: LockSettings = Field(
        LockSettings(), description="The admin's rules for what may be locked."
    )
    retention: RetentionSettings = Field(
        RetentionSettings(),
        description="How long inputs, outputs, events and rows of ended jobs are kept.",
    )
    webhooks: WebhookSettings = Field(
        WebhookSettings(), description="Whom webhooks may tell of the ends of jobs."
    )
    dispatch: DispatchSettings = Field(
        DispatchSettings(), description="The admin's rules for which job runs when."
    )
    telemetry: TelemetrySettings = Field(
        TelemetrySettings(), description="What is seen from outside: metrics, logs, traces."
    )
    secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="Values that manifests may ask for by name."
    )

    @field_validator("home")
    @classmethod
    def _is_a_folder(cls, home: Path) -> Path:
        """Refuse a home that could never hold anything."""
        if home.exists() and not home.is_dir():
            raise ValueError(f"{home} is not a folder")
        return home

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what `load` hands over: it lays the sources itself, to know the origins."""
        return (init_settings,)

    @property
    def is_one_process(self) -> bool:
        """Return whether the queue lives inside one process, so that no other can take from it."""
        return self.docket_url.startswith("memory://")

    def network_of_runs(self) -> NetworkRules | None:
        """Return what a job may reach at most; None where jobs have no network."""
        if not self.run_network:
            return None
        bundle = self.run_network_ca_bundle
        return NetworkRules(
            hosts=self.run_network_hosts,
            ports=self.run_network_ports,
            private=self.run_network_private,
            most_mb=self.run_network_mb,
            ca_bundle=str(bundle) if bundle else "",
        )


@frozen
class Loaded:
    """The settings in force and, for each dotted key that is not a default, its origin.

    `files` are those that were read.
    """

    settings: Settings
    origins: Mapping[str, str]
    files: tuple[Path, ...] = ()


def load(
    flags: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> Loaded:
    """Return the settings of this process; raise SettingsRefused with every fault found."""
    environ = os.environ if environ is None else environ
    files = _files(environ, chosen=config_file)
    merged: Tree = {}
    origins: dict[str, str] = {}
    for origin, layer in _layers(environ, flags or {}, files):
        _lay_over(merged, layer, origin=origin, origins=origins)
    _complete_limits(merged)
    try:
        settings = Settings(**merged)  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        raise SettingsRefused(problems=tuple(_problems(error, origins))) from error
    return Loaded(settings=settings, origins=origins, files=files)


def _files(environ: Mapping[str, str], *, chosen: Path | None) -> tuple[Path, ...]:
    """Return the settings files there are. Raises SettingsRefused where a named one is missing."""
    if chosen is None and environ.get("FUMEHOOD_CONFIG"):
        chosen = Path(environ["FUMEHOOD_CONFIG"])
    if chosen and not chosen.is_file():
        raise SettingsRefused(
            f"There is no settings file {chosen}",
            where=str(chosen),
            mend="name one that is there, or leave --config and FUMEHOOD_CONFIG out",
        )
    known = [Path("/etc/fumehood/config.toml"), _user_folder(environ) / "fumehood/config.toml"]
    found = [path for path in known if path.is_absolute() and path.is_file()]
    return (*found, *((chosen.absolute(),) if chosen else ()))


def _user_folder(environ: Mapping[str, str]) -> Path:
    """Return where this user's settings are.

    A relative XDG_CONFIG_HOME is as none (the XDG specification): it would be below the current
    folder.
    """
    named = Path(environ.get("XDG_CONFIG_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".config"


def _layers(
    environ: Mapping[str, str], flags: Mapping[str, object], files: tuple[Path, ...]
) -> Iterator[tuple[str, Tree]]:
    yield "environment", _index_defaults(environ)
    for path in files:
        yield str(path), _read_toml(path)
    if credentials := environ.get("CREDENTIALS_DIRECTORY"):
        yield credentials, _read_credentials(Path(credentials))
    yield "environment", _read_environment(environ)
    given = {key: value for key, value in flags.items() if value is not None}
    yield "command line", given


def _index_defaults(environ: Mapping[str, str]) -> Tree:
    """Return what the names that every program knows say about the way to the index."""
    known = {"proxy": environ.get("HTTPS_PROXY"), "ca_bundle": environ.get("SSL_CERT_FILE")}
    given: Tree = {name: value for name, value in known.items() if value}
    return {"index": given} if given else {}


def _read_toml(path: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsRefused(
            f"{path} cannot be read: {error.strerror}",
            where=str(path),
            mend="let the user that runs this read it, or remove it",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsRefused(
            f"{path} is not valid TOML: {error}", where=str(path), mend="correct the file"
        ) from error


def _read_credentials(folder: Path) -> Tree:
    files = sorted(folder.glob(f"{PREFIX.lower()}*"))
    tree: Tree = {}
    for file in files:
        _put(tree, file.name[len(PREFIX) :], file.read_text(encoding="utf-8").strip())
    return tree


def _read_environment(environ: Mapping[str, str]) -> Tree:
    tree: Tree = {}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in CLIENT_VARIABLES and environ[name] != "":
            parent, nests, leaf = name[len(PREFIX) :].partition("__")
            is_secret = parent == "SECRETS"  # a secret's name is the manifest's, case and all
            _put(
                tree, parent.lower() + nests + (leaf if is_secret else leaf.lower()), environ[name]
            )
    return tree


def _put(tree: Tree, key: str, value: str) -> None:
    *parents, leaf = key.split("__")
    for parent in parents:
        below = tree.setdefault(parent, {})
        if not isinstance(below, dict):
            raise SettingsRefused(
                f"{key} nests below a plain value", where=key, mend="set one of the two, not both"
            )
        tree = cast(Tree, below)
    tree[leaf] = value


def _lay_over(
    merged: Tree, layer: Tree, *, origin: str, origins: dict[str, str], prefix: str = ""
) -> None:
    for key, value in layer.items():
        below = merged.get(key)
        if isinstance(value, dict):
            target = cast(Tree, below if isinstance(below, dict) else {})
            merged[key] = target
            nested = cast(Tree, value)
            _lay_over(target, nested, origin=origin, origins=origins, prefix=f"{prefix}{key}.")
        else:
            merged[key] = value
            origins[prefix + key] = origin


def _complete_limits(merged: Tree) -> None:
    given = merged.get("limits")
    if isinstance(given, dict):
        default = Settings.model_fields["limits"].default
        merged["limits"] = {**asdict(default), **given}


def _problems(error: ValidationError, origins: Mapping[str, str]) -> Iterator[Problem]:
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        origin = _origins_below(key, origins) or _origin_of(key, origins)
        is_unknown = fault["type"] in {"extra_forbidden", "unexpected_keyword_argument"}
        yield Problem(
            code="unknown-setting" if is_unknown else "invalid-setting",
            what=f"{key} is not a setting" if is_unknown else f"{key}: {_in_words(fault['msg'])}",
            where=f"{key} (from {origin})",
            mend="run `fumehood config show` for the settings there are"
            if is_unknown
            else f"correct {key} where it was set: {origin}",
        )


def _origin_of(key: str, origins: Mapping[str, str]) -> str:
    """Return where `key`, or the list that it is an item of, came from."""
    while key and key not in origins:
        key = key.rpartition(".")[0]
    return origins.get(key, "default")


def _origins_below(key: str, origins: Mapping[str, str]) -> str:
    """Return where the parts of `key` came from, if any were set."""
    below = {where for part, where in origins.items() if part.startswith(f"{key}.")}
    return ", ".join(sorted(below))


def _in_words(message: str) -> str:
    return message.removeprefix("Value error, ")
