"""Grant: the manifest's wish × the admin's ceiling × the gate, decided by one pure function."""

from dataclasses import asdict, field
from datetime import datetime
from typing import Any, Literal

from packaging.utils import canonicalize_name

from frozen.values import frozen
from packages.bundle.manifest import Manifest
from sandbox.limits import Limits
from sandbox.network_rules import NetworkRules
from wheelhouse.times import rfc3339


@frozen
class GateState:
    """The network gate at one moment: closed, or open until T for a reason by someone.

    `packages` narrows an open gate to these distributions; empty means all.
    """

    is_open: bool = False
    until: datetime | None = None
    reason: str = ""
    who: str = ""
    packages: tuple[str, ...] = ()

    def is_open_at(self, now: datetime) -> bool:
        """Return whether the gate is open at `now`: it closes by itself."""
        return self.is_open and (self.until is None or now < self.until)

    def allows(self, name: str) -> bool:
        """Return whether the distribution `name` may come through while the gate is open."""
        allowed = {canonicalize_name(package) for package in self.packages}
        return self.is_open and (not allowed or canonicalize_name(name) in allowed)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON."""
        until = _zulu(self.until) if self.until else None
        return {**asdict(self), "until": until, "packages": list(self.packages)}


CLOSED_BY_DEFAULT = GateState(reason="closed by default", who="fumehood")
"""The gate of an appliance that nobody has opened yet."""


@frozen
class Ceiling:
    """What the admin allows at most. `secrets` None means that any may be asked for."""

    limits: Limits = field(default_factory=Limits)
    install_network: bool = True
    run_network: NetworkRules | None = None
    """What a run may reach at most; None for no network at all."""
    source_builds: bool = False
    secrets: frozenset[str] | None = None


@frozen
class Decision:
    """One thing that was wished: what came of it, and why."""

    about: Literal["install-network", "run-network", "source-builds", "limits", "secrets"]
    is_granted: bool
    why: str


@frozen
class Grant:
    """What one install and the runs after it may do, and why. Recorded in the artifact."""

    install_network: bool
    run_network: NetworkRules | None
    source_builds: bool
    limits: Limits
    secrets: tuple[str, ...]
    gate: GateState
    decisions: tuple[Decision, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why each thing was granted or not, as sentences."""
        return tuple(decision.why for decision in self.decisions)

    def to_dict(self) -> dict[str, Any]:
        """Return the grant as plain JSON."""
        return {
            "install_network": self.install_network,
            "run_network": self.run_network is not None,
            "network": self.run_network.to_dict() if self.run_network else None,
            "source_builds": self.source_builds,
            "limits": asdict(self.limits),
            "secrets": list(self.secrets),
            "gate": self.gate.to_dict(),
            "decisions": [asdict(decision) for decision in self.decisions],
        }


def decide(manifest: Manifest, *, ceiling: Ceiling, gate: GateState) -> Grant:
    """Return what the manifest is granted under the admin's ceiling with the gate as it is."""
    install = _install_network(manifest, ceiling, gate)
    rules, run = _run_network(manifest, ceiling.run_network)
    builds = _source_builds(ceiling)
    wished = manifest.limits.to_limits()
    limits = wished.under(ceiling.limits)
    secrets = tuple(s for s in manifest.secrets if ceiling.secrets is None or s in ceiling.secrets)
    return Grant(
        install_network=install.is_granted,
        run_network=rules,
        source_builds=builds.is_granted,
        limits=limits,
        secrets=secrets,
        gate=gate,
        decisions=(install, run, builds, _limits(wished, limits), _secrets(manifest, secrets)),
    )


def _install_network(manifest: Manifest, ceiling: Ceiling, gate: GateState) -> Decision:
    if manifest.network.install == "never":
        return _decision(
            "install-network", False, "the manifest refuses the network for its install"
        )
    if not ceiling.install_network:
        return _decision("install-network", False, "the admin lets no install use the network")
    if not gate.is_open:
        return _decision("install-network", False, "the network gate is closed")
    until = f" until {_zulu(gate.until)}" if gate.until else ""
    return _decision("install-network", True, f"{gate.who or 'an admin'} opened the gate{until}")


def _run_network(
    manifest: Manifest, allowed: NetworkRules | None
) -> tuple[NetworkRules | None, Decision]:
    """Return what a run may reach: what the admin allows, and of it what the manifest names."""
    wished = manifest.network.hosts
    if not manifest.network.run:
        return _no_network("the manifest asks for no network at run time")
    if allowed is None:
        return _no_network("the admin lets no package use the network at run time")
    if not allowed.hosts:
        return _no_network("the admin names no host that may be reached (run_network_hosts)")
    granted = allowed.narrowed_to(wished) if wished else allowed
    if not granted.hosts:
        return _no_network(f"the admin allows none of the hosts asked for: {', '.join(wished)}")
    missing = [host for host in wished if host not in granted.hosts]
    short = f", but not {', '.join(missing)}" if missing else ""
    why = f"the manifest asks and the admin allows {granted}{short}"
    return granted, _decision("run-network", True, why)


def _no_network(why: str) -> tuple[None, Decision]:
    return None, _decision("run-network", False, why)


def _source_builds(ceiling: Ceiling) -> Decision:
    if ceiling.source_builds:
        return _decision("source-builds", True, "the admin allows builds from source, in a cell")
    return _decision("source-builds", False, "the admin allows wheels only")


def _limits(wished: Limits, granted: Limits) -> Decision:
    if wished == granted:
        return _decision("limits", True, "the limits are as the manifest asks")
    cut = [name for name, value in asdict(granted).items() if value != getattr(wished, name)]
    return _decision("limits", False, f"the admin's ceiling lowers {', '.join(cut)}")


def _secrets(manifest: Manifest, granted: tuple[str, ...]) -> Decision:
    refused = sorted(set(manifest.secrets) - set(granted))
    if refused:
        return _decision("secrets", False, f"the admin does not hand out {', '.join(refused)}")
    return _decision("secrets", True, "every secret that is asked for may be handed out")


def _decision(about: Any, is_granted: bool, why: str) -> Decision:  # noqa: FBT001
    return Decision(about=about, is_granted=is_granted, why=why)


def _zulu(at: datetime) -> str:
    """Return a time as every door shows it (RFC 3339, UTC)."""
    return rfc3339(at)
