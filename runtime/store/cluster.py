"""The cluster that a database belongs to: who differs from those that are alive is refused."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from runtime.faults.errors import MixedSetUp
from runtime.store import workers
from runtime.store.schema import tables
from runtime.store.statements import upsert
from runtime.values.cluster import Cluster, differences
from runtime.values.records import Worker

ROW = 1


def join(
    connection: Connection, *, cluster: Cluster, worker: Worker, alive_since: datetime
) -> None:
    """Become one of the processes of this database, under the terms of those that are alive.

    Where none is seen since `alive_since`, ours are the terms from now on; `worker` is alive from
    now on, so that of two that come together one is refused. Raises MixedSetUp.
    """
    there = get(connection)
    differing = differences(cluster, there) if there else ()
    alive = workers.alive(connection, since=alive_since)
    if differing and alive:
        raise MixedSetUp(
            f"{alive[0].id} works on this database: {'; '.join(differing)}",
            where="database_url",
            mend="give this process the same settings, or stop the others first; "
            "whoever was killed counts as alive for `worker_lost_after_s`",
        )
    values = {"docket": cluster.docket, "docket_name": cluster.docket_name, "blobs": cluster.blobs}
    _refuse_another_home(worker, alive=alive)
    if differing or there is None:
        upsert.put(connection, tables.cluster, key={"id": ROW}, values=values)
    workers.see(connection, worker=worker, at=worker.seen_at)


def _refuse_another_home(worker: Worker, *, alive: Sequence[Worker]) -> None:
    """Refuse to serve what another home serves: each has wheels, keys and loops of its own."""
    others = [one for one in alive if one.serves and one.serves != worker.serves]
    if worker.serves and others:
        raise MixedSetUp(
            f"{others[0].id} serves this database from another home",
            where="database_url",
            mend="one machine serves, and `fumehood worker` works for it on the others; to move, "
            "stop that one first",
        )


def get(connection: Connection) -> Cluster | None:
    """Return the cluster that this database belongs to; None for none yet."""
    row = connection.execute(select(tables.cluster)).first()
    if row is None:
        return None
    return Cluster(docket=row.docket, docket_name=row.docket_name, blobs=row.blobs)
