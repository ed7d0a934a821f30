"""Whether who asks may do what it asks: by the table, by its sight, and by where a form is from.

Every operation depends on `permitted`, before anything of it is looked at: so a job, a package
or an activation that somebody may not see is answered as one that is not there, in one place.
"""

import hmac
from typing import Any

from fastapi import Request

from runtime.access.decisions import changes_of, may, sight_of
from runtime.access.operations import scopes_for
from runtime.faults.errors import CrossSite, NotAllowed, NotFound
from runtime.http.bodies.bodies import is_multipart
from runtime.http.context import services_of
from runtime.http.entrance.deprecation import deprecation_of
from runtime.http.entrance.identity import is_free
from runtime.http.middleware import SAFE_METHODS
from runtime.store.databases.store import Store
from runtime.store.jobs import jobs as job_store
from runtime.store.packages import activations, packages
from runtime.store.retention.sweeps import is_there_or_was
from runtime.store.when import schedules
from runtime.values.access import Principal, Way, is_bound_to

CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"
FORM_MOST_BYTES = 64 * 1024


async def permitted(request: Request) -> None:
    """Refuse what may not be done. Raises NotAllowed, CrossSite or NotFound."""
    principal: Principal = request.state.principal
    path: str = request.scope["route"].path
    scopes = scopes_for(request.method, path)
    request.state.deprecation = deprecation_of(request.method, path)
    if scopes is None or not may(principal, scopes):
        raise _not_allowed(request, principal, scopes=scopes)
    if request.method not in SAFE_METHODS and not is_free(path):
        await _check_form(request, principal)
    await _check_sight(request, principal, path=path, store=services_of(request).store)


def _not_allowed(request: Request, principal: Principal, *, scopes: Any) -> NotAllowed:
    needed = " or ".join(sorted(scope.value for scope in scopes or ()))
    has = ", ".join(sorted(scope.value for scope in principal.scopes)) or "none"
    return NotAllowed(
        f"This needs the scope {needed}" if needed else "",
        where=f"{request.method} {request.url.path}",
        mend=f"{principal.name} has {has}; `fumehood token create --scope …` makes another token",
    )


async def _check_form(request: Request, principal: Principal) -> None:
    """Refuse a change in the name of a session that does not know the session's own secret."""
    if principal.way is not Way.SESSION:
        return
    given = request.headers.get(CSRF_HEADER, "")
    if not given and not request.url.path.startswith("/v1/"):
        given = await _field_of(request)
    if not hmac.compare_digest(given.encode(), principal.csrf.encode()):
        raise CrossSite(
            "The form is not one that this session was given",
            where=f"form: {CSRF_FIELD}",
            mend="load the page again, and send its form",
        )


async def _field_of(request: Request) -> str:
    length = request.headers.get("content-length", "")
    if is_multipart(request) or not length.isdecimal() or int(length) > FORM_MOST_BYTES:
        return ""
    value = (await request.form()).get(CSRF_FIELD)
    return value if isinstance(value, str) else ""


async def _check_sight(request: Request, principal: Principal, *, path: str, store: Store) -> None:
    """Refuse, as one that is not there, what is out of sight. Raises NotFound."""
    given = request.path_params
    if "{job_id}" in path:
        is_read = request.method in SAFE_METHODS
        sight = sight_of(principal) if is_read else changes_of(principal)
        if not sight.is_whole:
            look = is_there_or_was if path.endswith("/artifact") else job_store.get
            await store.read(look, job_id=given["job_id"], sight=sight)
    elif "{schedule_id}" in path:
        is_read = request.method in SAFE_METHODS
        sight = sight_of(principal) if is_read else changes_of(principal)
        if not sight.is_whole:
            await store.read(schedules.get, schedule_id=given["schedule_id"], sight=sight)
    elif not principal.packages:
        return
    elif path.startswith("/v1/packages/{name}"):
        if not is_bound_to(principal.packages, given["name"]):
            raise packages.no_package(given["name"])
    elif "{activation_id}" in path:
        activation = await store.read(activations.get, activation_id=given["activation_id"])
        if not is_bound_to(principal.packages, activation.package):
            raise NotFound(f"There is no activation {activation.id}", where=activation.id)
