"""Activations: every try to make a version active, and the switch when one succeeds."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from runtime.faults.errors import NotActive, NotFound, NotLocked, StateConflict
from runtime.store.packages import packages
from runtime.store.schema import tables
from runtime.store.statements.rows import ACTIVATION, PREPARED, plain, value_of
from runtime.values.records import (
    Activation,
    ActivationState,
    JsonObject,
    PackageVersion,
    PreparedRecord,
)
from wheelhouse.problem import Problem

UNFINISHED = (ActivationState.QUEUED, ActivationState.RUNNING)


def request(
    connection: Connection,
    *,
    activation_id: str,
    version: PackageVersion,
    who: str,
    reason: str,
    at: datetime,
) -> Activation:
    """Ask for `version` to be made active; raise StateConflict while another try is open."""
    _refuse_second(connection, package=version.package)
    activation = Activation(
        id=activation_id,
        package=version.package,
        version=version.version,
        digest=version.digest,
        state=ActivationState.QUEUED,
        who=who,
        reason=reason,
        requested_at=at,
    )
    columns = plain(activation, ACTIVATION) | {"requested_at": at}
    connection.execute(tables.activations.insert().values(columns))
    return activation


def _refuse_second(connection: Connection, *, package: str) -> None:
    query = select(tables.activations.c.id, tables.activations.c.version).where(
        tables.activations.c.package == package, tables.activations.c.state.in_(UNFINISHED)
    )
    if row := connection.execute(query).first():
        raise StateConflict(
            f"{package} {row.version} is being activated",
            where=f"activation {row.id}",
            mend="wait until that activation has ended",
        )


def get(connection: Connection, *, activation_id: str) -> Activation:
    """Return an activation; raise NotFound."""
    query = select(tables.activations).where(tables.activations.c.id == activation_id)
    if row := connection.execute(query).first():
        return value_of(row, ACTIVATION)
    raise NotFound(f"There is no activation {activation_id}", where=activation_id)


def start(
    connection: Connection, *, activation_id: str, worker: str, at: datetime
) -> Activation | None:
    """Begin a requested activation; return None when somebody has begun it before."""
    begun = connection.execute(
        update(tables.activations)
        .where(
            tables.activations.c.id == activation_id,
            tables.activations.c.state == ActivationState.QUEUED,
        )
        .values(state=ActivationState.RUNNING, worker=worker, started_at=at)
    )
    return get(connection, activation_id=activation_id) if begun.rowcount else None


def succeed(
    connection: Connection,
    *,
    activation_id: str,
    prepared: PreparedRecord,
    log: Sequence[JsonObject],
    at: datetime,
) -> Activation:
    """Record that the version is ready, and make it the active one, in one transaction."""
    values = {"prepared": plain(prepared, PREPARED), "log": list(log)}
    _end(connection, activation_id, state=ActivationState.SUCCEEDED, at=at, values=values)
    activation = get(connection, activation_id=activation_id)
    packages.switch(
        connection,
        package=activation.package,
        version=activation.version,
        activation_id=activation_id,
    )
    return activation


def fail(
    connection: Connection,
    *,
    activation_id: str,
    problems: Sequence[Problem],
    traceback: str,
    log: Sequence[JsonObject],
    at: datetime,
) -> Activation:
    """Record why the version cannot be active; the version that was active stays so."""
    values = {
        "problems": [problem.to_dict() for problem in problems],
        "traceback": traceback,
        "log": list(log),
    }
    _end(connection, activation_id, state=ActivationState.FAILED, at=at, values=values)
    return get(connection, activation_id=activation_id)


def _end(
    connection: Connection,
    activation_id: str,
    *,
    state: ActivationState,
    at: datetime,
    values: dict[str, Any],
) -> None:
    ended = connection.execute(
        update(tables.activations)
        .where(
            tables.activations.c.id == activation_id,
            tables.activations.c.state == ActivationState.RUNNING,
        )
        .values(values | {"state": state, "finished_at": at})
    )
    if ended.rowcount == 0:
        raise StateConflict(f"Activation {activation_id} is not running", where=activation_id)


def requeue(connection: Connection, *, activation_id: str) -> None:
    """Put back an activation whose worker was stopped in order."""
    _put_back(connection, activation_id, lost=0)


def put_back(connection: Connection, *, activation_id: str, most: int, at: datetime) -> None:
    """Put back an activation whose worker is gone; end it once it has lost `most` of them."""
    tries = select(tables.activations.c.tries).where(tables.activations.c.id == activation_id)
    lost = (connection.execute(tries).scalar() or 0) + 1
    if lost < most:
        _put_back(connection, activation_id, lost=1)
        return
    problem = Problem(
        code="ended-its-worker",
        what=f"each of {lost} tries ended the worker that ran it",
        where=activation_id,
        mend="see the log of the worker; try the bundle with `fumehood try`",
    )
    fail(connection, activation_id=activation_id, problems=[problem], traceback="", log=[], at=at)


def _put_back(connection: Connection, activation_id: str, *, lost: int) -> None:
    connection.execute(
        update(tables.activations)
        .where(
            tables.activations.c.id == activation_id,
            tables.activations.c.state == ActivationState.RUNNING,
        )
        .values(
            state=ActivationState.QUEUED,
            worker=None,
            started_at=None,
            tries=tables.activations.c.tries + lost,
        )
    )


def queued_before(connection: Connection, *, at: datetime) -> tuple[str, ...]:
    """Return the ids of activations that have waited since before `at`."""
    query = select(tables.activations.c.id).where(
        tables.activations.c.state == ActivationState.QUEUED,
        tables.activations.c.requested_at <= at,
    )
    return tuple(connection.execute(query).scalars())


def running_elsewhere(connection: Connection, *, alive: Collection[str]) -> tuple[str, ...]:
    """Return the ids of running activations whose worker is not among those alive."""
    query = select(tables.activations.c.id).where(
        tables.activations.c.state == ActivationState.RUNNING,
        tables.activations.c.worker.not_in(alive),
    )
    return tuple(connection.execute(query).scalars())


def unfinished(connection: Connection) -> tuple[str, ...]:
    """Return the ids of all activations that wait or run."""
    query = select(tables.activations.c.id).where(tables.activations.c.state.in_(UNFINISHED))
    return tuple(connection.execute(query).scalars())


def locks(connection: Connection) -> tuple[str, ...]:
    """Return the lock of every activation that succeeded, each text once."""
    query = select(tables.activations.c.prepared["lock"].as_string()).where(
        tables.activations.c.state == ActivationState.SUCCEEDED
    )
    return tuple(text for text in connection.execute(query.distinct()).scalars() if text)


def list_for(
    connection: Connection, *, package: str, version: str | None = None, limit: int = 50
) -> tuple[Activation, ...]:
    """Return the activations of a package, the last requested first."""
    query = select(tables.activations).where(tables.activations.c.package == package)
    if version:
        query = query.where(tables.activations.c.version == version)
    query = query.order_by(tables.activations.c.id.desc()).limit(limit)
    return tuple(value_of(row, ACTIVATION) for row in connection.execute(query))


def last_success(connection: Connection, *, package: str, version: str) -> Activation | None:
    """Return the last activation of a version that succeeded, if any did."""
    tries = list_for(connection, package=package, version=version)
    succeeded = (one for one in tries if one.state is ActivationState.SUCCEEDED)
    return next(succeeded, None)


def installed(connection: Connection, *, package: str, version: str) -> PreparedRecord:
    """Return what the last activation of a version installed; raise NotLocked if none did."""
    packages.get_version(connection, package=package, version=version)
    activation = last_success(connection, package=package, version=version)
    if activation is None or activation.prepared is None:
        raise NotLocked(
            f"{package} {version} has never been activated, so it has no lock",
            where=f"{package} {version}",
            mend=f"`fumehood package activate {package} {version}` locks it",
        )
    return activation.prepared


def for_jobs(connection: Connection, *, package: str, version: str | None) -> Activation:
    """Return the activation that a new job runs on: the active one, or that of `version`."""
    found = packages.get_package(connection, name=package)
    if version:
        packages.get_version(connection, package=package, version=version)
        activation = last_success(connection, package=package, version=version)
    elif found.active_activation_id:
        activation = get(connection, activation_id=found.active_activation_id)
    else:
        activation = None
    if activation is None:
        name = f"{package} {version}" if version else package
        _refuse_failed(connection, package=package, version=version, name=name)
        raise NotActive(
            f"{name} has never been activated" if version else f"{name} has no active version",
            where=name,
            mend=f"`fumehood package activate {package} VERSION` first",
        )
    return activation


def _refuse_failed(connection: Connection, *, package: str, version: str | None, name: str) -> None:
    """Raise NotActive with what says why, where the last try to activate it failed."""
    tries = list_for(connection, package=package, version=version, limit=1)
    if tries and tries[0].state is ActivationState.FAILED:
        raise NotActive(
            f"{name} is not active: its last activation failed",
            where=name,
            mend=f"`fumehood package log {package}` says why",
        )


def former(connection: Connection, *, package: str) -> Activation:
    """Return the success before the active one, of another version; raise StateConflict."""
    active = packages.get_package(connection, name=package)
    for activation in list_for(connection, package=package, limit=1000):
        is_other = activation.version != active.active_version
        is_older = not active.active_activation_id or activation.id < active.active_activation_id
        if activation.state is ActivationState.SUCCEEDED and is_other and is_older:
            return activation
    raise StateConflict(
        f"No other version of {package} was active before",
        where=package,
        mend=f"`fumehood package activate {package} VERSION` makes another version active",
    )
