"""The one table of operations and scopes: the door, OpenAPI, the docs and the tests read it.

What is not in it is refused. ANYBODY needs no principal, ANYONE_KNOWN any principal.
"""

import re
from collections.abc import Mapping

from runtime.values.access import Scope

type Scopes = frozenset[Scope]

ANYBODY: Scopes = frozenset()
ANYONE_KNOWN: Scopes = frozenset(Scope)
ADMINS: Scopes = frozenset({Scope.ADMIN})
AUTHORS: Scopes = frozenset({Scope.AUTHOR, Scope.ADMIN})
SUBMITTERS: Scopes = frozenset({Scope.CLIENT, Scope.OPERATOR, Scope.ADMIN})
JOB_READERS: Scopes = SUBMITTERS | {Scope.VIEWER}
OPERATORS: Scopes = frozenset({Scope.OPERATOR, Scope.ADMIN})
SEERS: Scopes = OPERATORS | {Scope.VIEWER}
READERS: Scopes = frozenset({Scope.AUTHOR, Scope.VIEWER, Scope.OPERATOR, Scope.ADMIN})

VERSION = "/v1/packages/{name}/versions/{version}"
OPERATIONS: Mapping[str, Scopes] = {
    # is it there
    "GET /healthz": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /metrics": SEERS,
    # packages
    "POST /v1/packages": AUTHORS,
    "GET /v1/packages": ANYONE_KNOWN,
    "GET /v1/packages/{name}": ANYONE_KNOWN,
    "GET /v1/packages/{name}/versions": ANYONE_KNOWN,
    f"GET {VERSION}": ANYONE_KNOWN,
    f"GET {VERSION}/lock": READERS,
    f"GET {VERSION}/sbom": READERS,
    f"POST {VERSION}/activate": AUTHORS,
    "GET /v1/packages/{name}/activations": READERS,
    "GET /v1/activations/{activation_id}": READERS,
    "POST /v1/packages/{name}/rollback": AUTHORS,
    # jobs
    "POST /v1/jobs": SUBMITTERS,
    "GET /v1/jobs": JOB_READERS,
    "GET /v1/jobs/{job_id}": JOB_READERS,
    "GET /v1/jobs/{job_id}/events": JOB_READERS,
    "GET /v1/jobs/{job_id}/artifact": JOB_READERS,
    "GET /v1/jobs/{job_id}/outputs": JOB_READERS,
    "GET /v1/jobs/{job_id}/outputs/{path}": JOB_READERS,
    "GET /v1/jobs/{job_id}/attempts/{number}/outputs/{path}": JOB_READERS,
    "POST /v1/jobs/{job_id}/cancel": SUBMITTERS,
    "POST /v1/jobs/{job_id}/retry": SUBMITTERS,
    "GET /v1/queue": JOB_READERS,
    # around the job
    "GET /v1/presets": JOB_READERS,
    "PUT /v1/presets/{preset_name}": JOB_READERS,
    "DELETE /v1/presets/{preset_name}": JOB_READERS,
    "GET /v1/jobs/{job_id}/prompt": JOB_READERS,
    "POST /v1/jobs/{job_id}/response": SUBMITTERS,
    "DELETE /v1/jobs/{job_id}": SUBMITTERS,
    "GET /v1/jobs/{job_id}/pin": JOB_READERS,
    "PUT /v1/jobs/{job_id}/pin": SUBMITTERS,
    "DELETE /v1/jobs/{job_id}/pin": SUBMITTERS,
    f"DELETE {VERSION}": AUTHORS,
    "GET /v1/retention": READERS,
    "PUT /v1/retention": ADMINS,
    "POST /v1/submissions": SUBMITTERS,
    "GET /v1/webhooks": JOB_READERS,
    "POST /v1/webhooks": SUBMITTERS,
    "DELETE /v1/webhooks/{webhook_id}": SUBMITTERS,
    "GET /v1/webhook-secret": SUBMITTERS,
    "GET /v1/deliveries": JOB_READERS,
    "GET /v1/deliveries/{delivery_id}": JOB_READERS,
    "POST /v1/deliveries/{delivery_id}/replay": SUBMITTERS,
    "POST /v1/batches": SUBMITTERS,
    "GET /v1/batches": JOB_READERS,
    "GET /v1/batches/{batch}": JOB_READERS,
    "POST /v1/batches/{batch}/seal": SUBMITTERS,
    "POST /v1/batches/{batch}/cancel": SUBMITTERS,
    "POST /v1/bulk": SUBMITTERS,
    "GET /v1/bulk": JOB_READERS,
    "GET /v1/bulk/{operation_id}": JOB_READERS,
    "POST /v1/bulk/{operation_id}/stop": SUBMITTERS,
    # which job runs when
    "GET /v1/jobs/{job_id}/waits": JOB_READERS,
    "POST /v1/schedules": SUBMITTERS,
    "GET /v1/schedules": JOB_READERS,
    "GET /v1/schedules/{schedule_id}": JOB_READERS,
    "DELETE /v1/schedules/{schedule_id}": SUBMITTERS,
    "POST /v1/schedules/{schedule_id}/pause": SUBMITTERS,
    "POST /v1/schedules/{schedule_id}/resume": SUBMITTERS,
    "GET /v1/pauses": JOB_READERS,
    "POST /v1/pauses": OPERATORS,
    "DELETE /v1/pauses/{subject}": OPERATORS,
    "GET /v1/workers": SEERS,
    "POST /v1/workers/{worker_id}/drain": OPERATORS,
    "POST /v1/workers/{worker_id}/resume": OPERATORS,
    "GET /v1/dead-letters": JOB_READERS,
    "POST /v1/dead-letters/replay": SUBMITTERS,
    # the gate and the wheelhouse
    "GET /v1/gate": READERS,
    "PUT /v1/gate": ADMINS,
    "GET /v1/wheelhouse/wheels": READERS,
    "POST /v1/wheelhouse/wheels": ADMINS,
    "DELETE /v1/wheelhouse/wheels/{sha256}": ADMINS,
    "GET /simple/": READERS,
    "GET /simple/{name}/": READERS,
    "GET /simple/files/{sha256}/{filename}": READERS,
    # who may do what
    "GET /v1/me": ANYONE_KNOWN,
    "GET /v1/tokens": ADMINS,
    "POST /v1/tokens": ADMINS,
    "GET /v1/tokens/{token_name}": ADMINS,
    "DELETE /v1/tokens/{token_name}": ADMINS,
    "POST /v1/tokens/{token_name}/rotate": ADMINS,
    "GET /v1/sessions": ADMINS,
    "DELETE /v1/sessions/{session_id}": ADMINS,
    "POST /v1/login-links": ADMINS,
    "GET /v1/audit": ADMINS,
    "GET /v1/schemas/{name}": ANYONE_KNOWN,
    "GET /v1/version": ANYONE_KNOWN,
}
"""Each operation of the API, and who may use it."""

PAGES: Mapping[str, Scopes] = {
    "GET /": JOB_READERS,
    "GET /jobs/{job_id}": JOB_READERS,
    "POST /jobs/{job_id}/cancel": SUBMITTERS,
    "POST /jobs/{job_id}/retry": SUBMITTERS,
    "POST /jobs/{job_id}/response": SUBMITTERS,
    "GET /packages": READERS,
    "GET /access": ADMINS,
    "GET /audit": ADMINS,
    "POST /access/tokens": ADMINS,
    "POST /access/tokens/{token_name}/rotate": ADMINS,
    "POST /access/tokens/{token_name}/revoke": ADMINS,
    "POST /access/sessions/{session_id}/end": ADMINS,
    "GET /login": ANYBODY,
    "POST /login": ANYBODY,
    "GET /login/oidc": ANYBODY,
    "GET /login/callback": ANYBODY,
    "POST /logout": ANYONE_KNOWN,
    "GET /docs": ANYONE_KNOWN,
    "GET /openapi.json": ANYONE_KNOWN,
}
"""The pages, and who may see them."""

FREE_FOLDERS = ("/static/",)
"""What is served to anybody: files that are the same in every appliance."""


def key_of(method: str, path: str) -> str:
    """Return the key of an operation in the table.

    >>> key_of("GET", "/v1/jobs/{job_id}/outputs/{path:path}")
    'GET /v1/jobs/{job_id}/outputs/{path}'
    """
    return f"{method} {path.replace(':path}', '}')}"


def scopes_for(method: str, path: str) -> Scopes | None:
    """Return which scopes may use an operation; None for one that the table does not know."""
    key = key_of(method, path)
    return OPERATIONS.get(key, PAGES.get(key))


def methods_at(path: str) -> tuple[str, ...]:
    """Return the methods that there are at a path as it was asked for, as `Allow` names them.

    >>> methods_at("/v1/gate")
    ('GET', 'HEAD', 'PUT')
    """
    found = {
        operation.partition(" ")[0]
        for operation in {**OPERATIONS, **PAGES}
        if _pattern(operation.partition(" ")[2]).fullmatch(path)
    }
    return tuple(sorted(found | ({"HEAD"} if "GET" in found else set())))


def _pattern(template: str) -> re.Pattern[str]:
    """Return what fits a template: its last place may hold slashes where it is called path."""
    parts = re.split(r"(\{\w+\})", template)
    places = {"{path}": ".+"}
    return re.compile(
        "".join(places.get(one, "[^/]+") if one[:1] == "{" else re.escape(one) for one in parts)
    )


def as_markdown() -> str:
    """Return the table as it stands in docs/access.md."""
    names = [scope.value for scope in Scope]
    rows = [f"| operation | {' | '.join(names)} |", f"| --- |{' :-: |' * len(names)}"]
    for operation, scopes in {**OPERATIONS, **PAGES}.items():
        marks = [_mark(scope, scopes) for scope in Scope]
        rows.append(f"| `{operation}` | {' | '.join(marks)} |")
    return "\n".join(rows) + "\n"


def _mark(scope: Scope, scopes: Scopes) -> str:
    if scopes == ANYBODY:
        return "free"
    return "yes" if scope in scopes else "–"
