"""Manifest: what a bundle says of itself. Read strictly, all faults at once."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

from packages.bundle.field_words import describe
from packages.bundle.manifest_faults import Words, fault, problems_of
from packages.bundle.text import NotUtf8Error, decoded
from packages.errors import ManifestRefused
from sandbox.limits import Limits
from sandbox.network_rules import is_name
from wheelhouse.archives.paths import RESERVED
from wheelhouse.problem import Problem, first_problems, shown

MOST_BYTES = 256 * 1024
FEWEST_OPEN_FILES = 8
"""Fewer would not let the runner itself come up: its streams, its channel, the import."""
SCHEMA_REF = "$schema"
MODULE = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
VARIABLES_OF_OURS = ("PATH", "HOME", "TMPDIR", "IFS", "ENV", "BASH_ENV", "GCONV_PATH")
PREFIXES_OF_OURS = ("LD_", "PYTHON", "FUMEHOOD", "GLIBC_", "MALLOC_")


def _version(text: str) -> str:
    try:
        return str(Version(text))
    except InvalidVersion as error:
        raise ValueError("it should be a version by PEP 440, such as 1.2.0") from error


def _specifiers(text: str) -> str:
    try:
        return str(SpecifierSet(text))
    except InvalidSpecifier as error:
        raise ValueError("it should be a version specifier, such as >=3.12") from error


def _name(text: str) -> str:
    if text in RESERVED:
        raise ValueError(f"{text} is the name of a device on Windows, where no folder can have it")
    return text


def _variable(name: str) -> str:
    if name in VARIABLES_OF_OURS or name.startswith(PREFIXES_OF_OURS):
        raise ValueError("it is for the cell to set, not for a bundle")
    return name


def _host(text: str) -> str:
    if not is_name(text.removeprefix("*.")):
        raise ValueError(f"it should be {MEANT[HOST]}")
    return text


def _no_boolean(value: object) -> object:
    """Keep Python from taking true for 1."""
    return str(value).lower() if isinstance(value, bool) else value


def _hook(value: object) -> object:
    return {"target": value} if isinstance(value, str) else value


NAME = r"^[a-z0-9](-?[a-z0-9])*$"
TARGET = rf"^{MODULE}:[A-Za-z_][A-Za-z0-9_]*$"
WHOLE_MODULE = rf"^{MODULE}$"
VARIABLE = r"^[A-Z_][A-Z0-9_]*$"
MEDIA_TYPE = r"^[a-z0-9.+-]+/([a-z0-9.+_-]+|\*)$"
HOST = r"^(\*\.)?[a-z0-9_.-]+$"
KEY = r"^(package|principal|parameters\.[^\x00-\x1f]+)$"
FAILURE = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
PRINTABLE = r"^[^\x00-\x1f]*$"
WITHOUT_NUL = r"^[^\x00]*$"
MEANT = {
    NAME: "lower-case letters and digits, with single hyphens between, such as word-counter",
    TARGET: "module:function, such as extract:extract",
    WHOLE_MODULE: "the name of a module, such as numpy.linalg",
    VARIABLE: "capital letters, digits and underscores, such as MODE",
    MEDIA_TYPE: "a media type, such as text/csv or image/*",
    HOST: "a host's name in lower case, or all below one, such as *.example.org",
    KEY: "package, principal or parameters.NAME",
    FAILURE: "the code of an error or the name of an exception, such as ConnectionError",
    PRINTABLE: "text without control characters",
    WITHOUT_NUL: "text without NUL",
}
"""What a pattern asks for, in words."""

Target = Annotated[str, StringConstraints(pattern=TARGET, max_length=200)]
Module = Annotated[str, StringConstraints(pattern=WHOLE_MODULE, max_length=200)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Variable = Annotated[
    str, StringConstraints(pattern=VARIABLE, max_length=100), AfterValidator(_variable)
]
MediaType = Annotated[str, StringConstraints(pattern=MEDIA_TYPE, max_length=100)]
Host = Annotated[str, StringConstraints(pattern=HOST, max_length=255), AfterValidator(_host)]
Key = Annotated[str, StringConstraints(pattern=KEY, max_length=200)]
FailureName = Annotated[str, StringConstraints(pattern=FAILURE, max_length=200)]
NoNul = Annotated[str, StringConstraints(pattern=WITHOUT_NUL, max_length=4000)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        defer_build=True,  # by whoever reads a manifest, and not at every start (45 ms)
    )


class Hook(_Section):
    """A function that runs at a moment of the package's life."""

    target: Target = Field(examples=["hooks.prepare:run"])
    """The function, as module:function."""
    required: bool = Field(default=False, examples=[True])
    """Whether its failure makes the job fail (for on_activate it always counts)."""


HookOrTarget = Annotated[Hook, BeforeValidator(_hook, json_schema_input_type=Hook | Target)]


class Hooks(_Section):
    """The hooks. A file hooks/on_activate.py or hooks/on_after_extract.py needs no entry here."""

    on_activate: HookOrTarget | None = Field(default=None, examples=["hooks.prepare:run"])
    """Runs once, before the version becomes active; what it leaves in output_dir is kept."""
    on_after_extract: HookOrTarget | None = Field(default=None, examples=["hooks.notify:run"])
    """Runs after each job, after a failed one as well."""


class Network(_Section):
    """What the bundle wishes of the network; what it gets is the admin's to say."""

    install: Literal["never", "if-open", "required"] = Field(default="if-open", examples=["never"])
    """Whether wheels may come through the network gate, where an admin has opened it."""
    run: bool = Field(default=False, examples=[True])
    """Whether runs want a network; they have none otherwise."""
    hosts: tuple[Host, ...] = Field(
        default=(), max_length=100, strict=False, examples=[["api.example.org"]]
    )
    """What a run wants to reach; where none is named, whatever the admin allows."""


class Retry(_Section):
    """How often a job is run whose package failed; the caller may ask otherwise."""

    attempts: int = Field(ge=1, le=100, examples=[3])
    """How often a job is run at most if the package fails; the first time counts."""
    backoff_s: float = Field(default=1.0, ge=0, le=86_400, examples=[30])
    """Seconds before the second attempt; each further wait is twice as long."""
    on: tuple[FailureName, ...] = Field(
        default=(), max_length=20, strict=False, examples=[["ConnectionError", "over-limit"]]
    )
    """Codes of errors, or names of exceptions; where none is named, any failure."""


class Concurrency(_Section):
    """How many jobs run at a time that have the same key."""

    key: Key = Field(examples=["parameters.customer"])
    """What they have in common: package, principal, or parameters.NAME."""
    most: int = Field(ge=1, le=10_000, examples=[2])
    """How many of them run at a time."""


class Rate(_Section):
    """How many jobs start in so many seconds that have the same key; evenly spread."""

    key: Key = Field(examples=["principal"])
    """What they have in common: package, principal, or parameters.NAME."""
    most: int = Field(ge=1, le=10_000, examples=[10])
    """How many of them start in `per_s` seconds."""
    per_s: float = Field(gt=0, le=86_400, examples=[60])
    """In how many seconds."""


class Wishes(_Section):
    """Limits that the bundle asks for; what is left out is the appliance's to choose."""

    wall_s: float | None = Field(default=None, gt=0, le=86_400, examples=[120])
    """Seconds that a run may take."""
    cpu_s: float | None = Field(default=None, gt=0, le=86_400, examples=[300])
    """Seconds of CPU time, of all its processes together."""
    cpus: float | None = Field(default=None, gt=0, le=1024, examples=[2])
    """How many processors it may use at a time."""
    memory_mb: int | None = Field(default=None, gt=0, le=1_048_576, examples=[2048])
    """Memory in MiB, of all its processes together."""
    processes: int | None = Field(default=None, gt=0, le=4096, examples=[128])
    """How many processes and threads there may be."""
    open_files: int | None = Field(default=None, ge=FEWEST_OPEN_FILES, le=65_536, examples=[1024])
    """How many files one process may have open."""
    output_mb: int | None = Field(default=None, gt=0, le=1_048_576, examples=[512])
    """MiB in output_dir."""
    output_files: int | None = Field(default=None, gt=0, le=1_000_000, examples=[50000])
    """How many files there may be in output_dir."""
    scratch_mb: int | None = Field(default=None, gt=0, le=1_048_576, examples=[1024])
    """MiB in scratch_dir, /tmp and HOME together."""
    log_kb: int | None = Field(default=None, gt=0, le=1_048_576, examples=[4096])
    """KiB that a run may print and report."""
    log_lines: int | None = Field(default=None, gt=0, le=10_000_000, examples=[50000])
    """Lines that a run may print and report."""
    result_kb: int | None = Field(default=None, gt=0, le=1_048_576, examples=[4096])
    """KiB of JSON that it may return."""

    def to_limits(self) -> Limits:
        """Return the wishes as Limits, the sandbox's own where nothing was asked."""
        return Limits(**self.model_dump(exclude_none=True))


class Manifest(_Section):
    """What is in manifest.json."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        defer_build=True,
        title="Fumehood bundle manifest",
    )

    schema_version: Annotated[Literal[1], BeforeValidator(_no_boolean)] = Field(
        alias="schema", examples=[1]
    )
    """Always 1."""
    name: Annotated[
        str, StringConstraints(pattern=NAME, min_length=1, max_length=64), AfterValidator(_name)
    ] = Field(examples=["word-counter"])
    """The package's name: lower-case letters and digits, with single hyphens between."""
    version: Annotated[str, StringConstraints(max_length=64), AfterValidator(_version)] = Field(
        examples=["1.2.0"]
    )
    """Its version (PEP 440). A version never changes: other files are another version."""
    title: Annotated[str, StringConstraints(max_length=200, pattern=PRINTABLE)] = Field(
        default="", examples=["Counts words"]
    )
    """What it does, in a few words, for lists and pages."""
    entrypoint: Target = Field(default="extract:extract", examples=["mine.main:extract"])
    """The function of a job, as module:function; it is called with job= and takes **_."""
    start: Literal["warm", "cold"] = Field(default="warm", examples=["cold"])
    """Warm: each job is forked from a process that imported the entry point, where that is safe."""
    hooks: Hooks = Hooks()
    """Functions of other moments; hooks/on_activate.py and hooks/on_after_extract.py need none."""
    requires_python: Annotated[
        str, StringConstraints(max_length=200), AfterValidator(_specifiers)
    ] = Field(default="", examples=[">=3.11,<3.14"])
    """Which Pythons it runs on (PEP 440); the appliance's own where that fits."""
    network: Network = Network()
    """What it wishes of the network."""
    limits: Wishes = Wishes()
    """What a run may use; what is left out has its default."""
    retry: Retry | None = None
    """Whether its failure is final; it is, where nothing is said."""
    concurrency: Concurrency | None = None
    """How many of its jobs run at a time; as many as there are slots, where nothing is said."""
    rate: Rate | None = None
    """How fast its jobs start; as they come, where nothing is said."""
    needs: tuple[Label, ...] = Field(
        default=(), max_length=10, strict=False, examples=[["gpu", "big-memory"]]
    )
    """Labels that a worker has to have to run its jobs; an admin gives them to workers."""
    preload: tuple[Module, ...] = Field(
        default=(), max_length=50, strict=False, examples=[["pandas"]]
    )
    """Modules that a warm cell imports besides the entry point's own imports."""
    env: dict[Variable, NoNul] = Field(default={}, max_length=100, examples=[{"MODE": "fast"}])
    """Variables of the environment of every run; nothing secret."""
    secrets: tuple[Variable, ...] = Field(
        default=(), max_length=50, strict=False, examples=[["API_KEY"]]
    )
    """Secrets that it may ask for (job.secret), if an admin has set them."""
    accepts: tuple[MediaType, ...] = Field(
        default=(), max_length=50, strict=False, examples=[["text/csv", "image/*"]]
    )
    """Media types of inputs; a job with another one is refused. Where none is named, any."""
    parameters: dict[str, JsonValue] | None = Field(default=None, examples=[{"type": "object"}])
    """A JSON Schema (draft 2020-12): a job whose parameters it does not allow is refused."""

    @model_validator(mode="after")
    def _keys_are_parameters(self) -> "Manifest":
        """Refuse a key that no job can have: its parameter is not in the schema."""
        known = (self.parameters or {}).get("properties")
        for name, rule in (("concurrency", self.concurrency), ("rate", self.rate)):
            _, is_parameter, parameter = rule.key.partition("parameters.") if rule else ("", "", "")
            if is_parameter and isinstance(known, dict) and parameter not in known:
                raise ValueError(
                    f"{name}.key is parameters.{parameter}, and the schema in `parameters` has no "
                    f"{parameter!r}; it has {', '.join(known) or 'none'}"
                )
        return self


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of manifest.json."""
    schema = Manifest.model_json_schema(by_alias=True)
    source = Path(__file__).read_text(encoding="utf-8")
    describe(schema, whole="Manifest", source=source, names={"schema_version": "schema"})
    schema["properties"][SCHEMA_REF] = {
        "type": "string",
        "description": "Where this schema is, for editors; nothing else reads it.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def read_manifest(content: bytes) -> Manifest:
    """Return the manifest that `content` holds. Raises ManifestRefused with every fault."""
    value, problems = _read_json(content)
    if problems:
        raise ManifestRefused(*problems)
    try:
        return Manifest.model_validate(value)
    except ValidationError as error:
        words = Words(meant=MEANT, fields_at=_fields_at)
        raise ManifestRefused(*problems_of(error, words=words)) from error


def _read_json(content: bytes) -> tuple[object, list[Problem]]:
    repeated: list[str] = []
    if len(content) > MOST_BYTES:
        return None, [fault("too-large", f"it is larger than {MOST_BYTES} bytes", "")]
    try:
        text = decoded(content)
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, repeated),
            parse_constant=_refuse_constant,
        )
    except NotUtf8Error as error:
        return None, [fault("not-utf-8", error.what, "", error.mend)]
    except json.JSONDecodeError as error:
        where = f":{error.lineno}:{error.colno}"
        return None, [fault("bad-json", error.msg, where, "mend the JSON at that place")]
    except (RecursionError, ValueError) as error:
        return None, [fault("bad-json", str(error), "", "mend the JSON")]
    mend = "keep one of them"
    faults = (fault("repeated-key", f"{shown(key)!r} is there twice", "", mend) for key in repeated)
    if isinstance(value, dict):
        told = cast("dict[str, object]", value)
        if isinstance(told.get(SCHEMA_REF), str):
            del told[SCHEMA_REF]  # for editors alone
        return told, list(first_problems(faults))
    return value, list(first_problems(faults))


def _object(pairs: list[tuple[str, object]], repeated: list[str]) -> dict[str, object]:
    keys = Counter(key for key, _ in pairs)
    repeated += sorted(key for key, count in keys.items() if count > 1)
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _fields_at(place: tuple[int | str, ...]) -> list[str]:
    """Return the names of the fields that may stand at `place`."""
    parts: dict[str, type[BaseModel]] = {
        "hooks": Hooks,
        "network": Network,
        "limits": Wishes,
        "retry": Retry,
        "concurrency": Concurrency,
        "rate": Rate,
        "on_activate": Hook,
        "on_after_extract": Hook,
    }
    model = parts.get(str(place[-1]), Manifest) if place else Manifest
    return [field.alias or name for name, field in model.model_fields.items()]
