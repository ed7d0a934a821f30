"""Every operation of the API as a function that returns what to ask, and of which type it is.

A request is a value: it is asked by a Client, or awaited from an AsyncClient, and has no other
form for either.

>>> submit_job("hello", parameters={"name": "Ada"}).path
'/v1/jobs'
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from runtime.client.calls import BYTES, Call, Content, Input, given, path_at
from runtime.client.views import (
    ActivationView,
    AuditView,
    GateView,
    JobDetail,
    LinkView,
    MeView,
    NewTokenView,
    OutputView,
    PackageView,
    PageOf,
    SessionView,
    TokenView,
    VersionDetail,
    VersionView,
    WheelView,
    When,
)
from runtime.client.when_views import QueueView


def is_alive() -> Call[dict[str, str]]:
    """Ask whether the process answers."""
    return Call(method="GET", path="/healthz")


def is_ready() -> Call[dict[str, Any]]:
    """Ask whether it can take work."""
    return Call(method="GET", path="/readyz")


def read_metrics() -> Call[str]:
    """Ask for the metrics, in the text format of Prometheus."""
    return Call(method="GET", path="/metrics", answer="text")


def upload_package(content: Content) -> Call[VersionDetail]:
    """Upload a bundle, .zip or .tar.gz."""
    headers = {"Content-Type": BYTES}
    return Call(method="POST", path="/v1/packages", content=content, headers=headers)


def list_packages() -> Call[PageOf[PackageView]]:
    """List the packages by name."""
    return Call(method="GET", path="/v1/packages")


def get_package(name: str) -> Call[PackageView]:
    """Ask for a package."""
    return Call(method="GET", path=path_at("/v1/packages/{}", name))


def list_versions(name: str) -> Call[PageOf[VersionView]]:
    """List the versions of a package, the last uploaded first."""
    return Call(method="GET", path=path_at("/v1/packages/{}/versions", name))


def get_version(name: str, version: str) -> Call[VersionDetail]:
    """Ask for a version with its manifest."""
    return Call(method="GET", path=_version(name, version))


def get_lock(name: str, version: str) -> Call[str]:
    """Ask for the pylock.toml that a version runs on."""
    return Call(method="GET", path=_version(name, version) + "/lock", answer="text")


def get_sbom(name: str, version: str) -> Call[str]:
    """Ask for the bill of materials of a version's environment."""
    return Call(method="GET", path=_version(name, version) + "/sbom", answer="text")


def activate_version(
    name: str, version: str, *, reason: str = "", if_match: str | None = None
) -> Call[ActivationView]:
    """Ask for a version to be made active; `if_match`: only if the package is as that tag says."""
    return Call(
        method="POST",
        path=_version(name, version) + "/activate",
        body={"reason": reason},
        headers=given({"If-Match": if_match}),
    )


def list_activations(name: str) -> Call[PageOf[ActivationView]]:
    """List the activations of a package, the last first."""
    return Call(method="GET", path=path_at("/v1/packages/{}/activations", name))


def get_activation(activation_id: str) -> Call[ActivationView]:
    """Ask how an activation goes."""
    return Call(method="GET", path=path_at("/v1/activations/{}", activation_id))


def roll_back(name: str, *, if_match: str, reason: str = "") -> Call[PackageView]:
    """Make the version active that was so before the one of which `if_match` is the tag."""
    return Call(
        method="POST",
        path=path_at("/v1/packages/{}/rollback", name),
        body={"reason": reason},
        headers={"If-Match": if_match},
    )


def submit_job(
    package: str,
    *,
    version: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    inputs: Sequence[Input] = (),
    key: str = "",
    wait_s: int = 0,
    when: When | None = None,
    around: Mapping[str, Any] | None = None,
) -> Call[JobDetail]:
    """Submit a job for a package, in its active version or in the one named.

    The same order with the same `key` is the same job; the answer waits up to `wait_s` seconds for
    its end. `when` says when it runs, and how often; `around` are labels, a batch, a webhook.
    """
    order = {
        "package": package,
        "version": version,
        "parameters": dict(parameters or {}),
        **(when or {}),
        **(around or {}),
    }
    headers = _waiting(wait_s) | ({"Idempotency-Key": key} if key else {})
    if not inputs:
        return Call(method="POST", path="/v1/jobs", body=order, headers=headers)
    form = {"job": json.dumps(order)}
    return Call(method="POST", path="/v1/jobs", form=form, inputs=inputs, headers=headers)


def _waiting(wait_s: int) -> dict[str, str]:
    return {"Prefer": f"wait={wait_s}"} if wait_s else {}


def get_job(job_id: str) -> Call[JobDetail]:
    """Ask for a job with its attempts."""
    return Call(method="GET", path=path_at("/v1/jobs/{}", job_id))


def read_events(job_id: str, *, after: int = 0) -> Call[str]:
    """Ask for the events that are stored, as lines of JSON; `follow` of a client goes on."""
    query = {"after": after}
    return Call(
        method="GET", path=path_at("/v1/jobs/{}/events", job_id), query=query, answer="text"
    )


def get_artifact(job_id: str, *, attempt: int | None = None) -> Call[dict[str, Any]]:
    """Ask for the artifact of an attempt, the last by default."""
    query = given({"attempt": attempt})
    return Call(method="GET", path=path_at("/v1/jobs/{}/artifact", job_id), query=query)


def list_outputs(job_id: str, *, attempt: int | None = None) -> Call[PageOf[OutputView]]:
    """List the outputs of an attempt by path."""
    query = given({"attempt": attempt})
    return Call(method="GET", path=path_at("/v1/jobs/{}/outputs", job_id), query=query)


def get_output(job_id: str, path: str, *, attempt: int | None = None) -> Call[bytes]:
    """Ask for one output; `download` of a client writes it to a file."""
    place = f"{path_at('/v1/jobs/{}/outputs', job_id)}/{quote(path)}"
    query = given({"attempt": attempt})
    return Call(method="GET", path=place, query=query, answer="bytes")


def get_output_of_attempt(job_id: str, path: str, *, attempt: int) -> Call[bytes]:
    """Ask for one output of an attempt, at an address that never has other bytes."""
    place = f"{path_at('/v1/jobs/{}/attempts/{}/outputs', job_id, str(attempt))}/{quote(path)}"
    return Call(method="GET", path=place, answer="bytes")


def cancel_job(job_id: str) -> Call[JobDetail]:
    """Cancel a job."""
    return Call(method="POST", path=path_at("/v1/jobs/{}/cancel", job_id))


def retry_job(job_id: str, *, active: bool = False, version: str | None = None) -> Call[JobDetail]:
    """Try a job again that has ended: as it was, on what is active now, or on `version`."""
    order = {"active": active, "version": version}
    return Call(method="POST", path=path_at("/v1/jobs/{}/retry", job_id), body=order)


def show_queue() -> Call[QueueView]:
    """Ask how much waits."""
    return Call(method="GET", path="/v1/queue")


def get_gate() -> Call[GateView]:
    """Ask whether the gate is open."""
    return Call(method="GET", path="/v1/gate")


def open_gate(
    reason: str,
    *,
    minutes: float = 15,
    packages: Sequence[str] = (),
    who: str = "",
    if_match: str | None = None,
) -> Call[GateView]:
    """Open the gate for a while; where it is open already, `if_match` has to be its tag."""
    order = {"is_open": True, "minutes": minutes, "reason": reason, "packages": list(packages)}
    headers = given({"If-Match": if_match})
    return Call(method="PUT", path="/v1/gate", body={**order, "who": who}, headers=headers)


def close_gate(*, reason: str = "", who: str = "") -> Call[GateView]:
    """Close the gate now."""
    order = {"is_open": False, "reason": reason, "who": who}
    return Call(method="PUT", path="/v1/gate", body=order)


def list_wheels(*, name: str | None = None) -> Call[PageOf[WheelView]]:
    """List the wheels in the wheelhouse."""
    return Call(method="GET", path="/v1/wheelhouse/wheels", query=given({"name": name}))


def add_wheel(filename: str, *, content: Content) -> Call[WheelView]:
    """Add a wheel to the wheelhouse."""
    return Call(
        method="POST",
        path="/v1/wheelhouse/wheels",
        query={"filename": filename},
        content=content,
        headers={"Content-Type": BYTES},
    )


def remove_wheel(sha256: str) -> Call[None]:
    """Remove a wheel that nothing needs."""
    return Call(method="DELETE", path=path_at("/v1/wheelhouse/wheels/{}", sha256))


def show_me() -> Call[MeView]:
    """Ask who one is, and what one may do."""
    return Call(method="GET", path="/v1/me")


def list_tokens() -> Call[PageOf[TokenView]]:
    """List the tokens by name, revoked ones too."""
    return Call(method="GET", path="/v1/tokens")


def create_token(
    name: str,
    *,
    scopes: Sequence[str],
    packages: Sequence[str] = (),
    note: str = "",
    expires_at: str | None = None,
    requests_per_minute: int | None = None,
) -> Call[NewTokenView]:
    """Make a token; its text is in the answer only."""
    order = {
        "name": name,
        "scopes": list(scopes),
        "packages": list(packages),
        "note": note,
        "expires_at": expires_at,
        "requests_per_minute": requests_per_minute,
    }
    return Call(method="POST", path="/v1/tokens", body=order)


def show_token(token_name: str) -> Call[TokenView]:
    """Ask for a token, without its text."""
    return Call(method="GET", path=path_at("/v1/tokens/{}", token_name))


def revoke_token(token_name: str) -> Call[TokenView]:
    """End a token, and the sessions that began with it."""
    return Call(method="DELETE", path=path_at("/v1/tokens/{}", token_name))


def rotate_token(
    token_name: str, *, if_match: str, overlap_minutes: int = 1440
) -> Call[NewTokenView]:
    """Give the token of which `if_match` is the tag another text."""
    return Call(
        method="POST",
        path=path_at("/v1/tokens/{}/rotate", token_name),
        body={"overlap_minutes": overlap_minutes},
        headers={"If-Match": if_match},
    )


def list_sessions() -> Call[PageOf[SessionView]]:
    """List the browsers that are logged in."""
    return Call(method="GET", path="/v1/sessions")


def end_session(session_id: str) -> Call[None]:
    """Log a browser out."""
    return Call(method="DELETE", path=path_at("/v1/sessions/{}", session_id))


def make_link() -> Call[LinkView]:
    """Make a link that logs a browser in as who asks."""
    return Call(method="POST", path="/v1/login-links")


def list_audit(*, action: str | None = None) -> Call[PageOf[AuditView]]:
    """List the entries of the audit log, the last first."""
    return Call(method="GET", path="/v1/audit", query=given({"action": action}))


def get_schema(name: str) -> Call[dict[str, Any]]:
    """Ask for the JSON Schema of manifests or artifacts."""
    return Call(method="GET", path=path_at("/v1/schemas/{}", name))


def get_appliance_version() -> Call[dict[str, str]]:
    """Ask for the version of the appliance."""
    return Call(method="GET", path="/v1/version")


def _version(name: str, version: str) -> str:
    return path_at("/v1/packages/{}/versions/{}", name, version)
