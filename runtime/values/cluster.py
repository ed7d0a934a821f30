"""A cluster: the processes that share one queue, one database and one store of bytes."""

from dataclasses import fields

from frozen.values import frozen


@frozen
class Cluster:
    """What the processes of a cluster have to agree on; addresses without their logins.

    A part that lives in a process or a home is named after the home.
    """

    docket: str
    docket_name: str
    blobs: str


SETTINGS = {"docket": "docket_url", "docket_name": "docket_name", "blobs": "blobs_url"}


def differences(ours: Cluster, theirs: Cluster) -> tuple[str, ...]:
    """Return a sentence for each part of which two processes have another idea.

    >>> redis = Cluster(docket="redis://q", docket_name="fumehood", blobs="s3://b")
    >>> differences(Cluster(docket="memory://", docket_name="fumehood", blobs="s3://b"), redis)
    ('docket_url is memory:// here and redis://q there',)
    """
    return tuple(
        f"{SETTINGS[one.name]} is {getattr(ours, one.name)} here and "
        f"{getattr(theirs, one.name)} there"
        for one in fields(Cluster)
        if getattr(ours, one.name) != getattr(theirs, one.name)
    )
