"""The cluster that a database belongs to: who differs from those that are alive is refused."""

from datetime import datetime

from sqlalchemy import Connection, select

from runtime.errors import MixedSetUp
from runtime.store import tables, upsert, workers
from runtime.values.cluster import Cluster, differences

ROW = 1


def join(connection: Connection, *, cluster: Cluster, alive_since: datetime) -> None:
    """Become one of the processes of this database, under the terms of those that are alive.

    Where none is seen since `alive_since`, ours are the terms from now on. Raises MixedSetUp.
    """
    there = get(connection)
    differing = differences(cluster, there) if there else ()
    if differing and (alive := workers.alive(connection, since=alive_since)):
        raise MixedSetUp(
            f"{alive[0].id} works on this database: {'; '.join(differing)}",
            where="database_url",
            mend="give this process the same settings, or stop the others first; "
            "whoever was killed counts as alive for `worker_lost_after_s`",
        )
    values = {"docket": cluster.docket, "docket_name": cluster.docket_name, "blobs": cluster.blobs}
    if differing or there is None:
        upsert.put(connection, tables.cluster, key={"id": ROW}, values=values)


def get(connection: Connection) -> Cluster | None:
    """Return the cluster that this database belongs to; None for none yet."""
    row = connection.execute(select(tables.cluster)).first()
    if row is None:
        return None
    return Cluster(docket=row.docket, docket_name=row.docket_name, blobs=row.blobs)
