"""The stories of packages: receive a bundle, ask for its activation, go back to a former one."""

import asyncio
from pathlib import Path

from packages.archive import receive
from packages.bundle import Bundle
from runtime.home.factories import ceilings_of
from runtime.ids import new_id
from runtime.parts import Parts
from runtime.store import activations, audit, packages
from runtime.values.records import Activation, Package, PackageVersion


async def receive_bundle(parts: Parts, *, upload: Path, who: str) -> tuple[PackageVersion, bool]:
    """Judge and keep the bundle in the file `upload`; return it, and whether it is new.

    Raises BundleRefused with every fault, or VersionConflict; nothing is kept then.
    """
    known = set(await asyncio.to_thread(parts.bundles.digests))
    bundle = await parts.judges.beside(_receive, upload, parts=parts)
    version = version_of(bundle, parts=parts, who=who)
    try:
        is_new = await parts.store.run(packages.add_version, version=version)
    except Exception:
        if bundle.digest not in known:
            await asyncio.to_thread(parts.bundles.remove, bundle.digest)
        raise
    if is_new:
        await parts.store.run(
            audit.append,
            at=version.uploaded_at,
            who=who,
            action="package.upload",
            subject=f"{version.package} {version.version}",
            details={"digest": version.digest, "size_bytes": version.size_bytes},
        )
    return version, is_new


def _receive(upload: Path, *, parts: Parts) -> Bundle:
    ceilings = ceilings_of(parts.settings)
    with upload.open("rb") as source:
        return receive(source, bundles=parts.bundles, ceilings=ceilings)


def version_of(bundle: Bundle, *, parts: Parts, who: str) -> PackageVersion:
    """Return the record of a bundle that was just received."""
    manifest = bundle.manifest
    return PackageVersion(
        package=manifest.name,
        version=manifest.version,
        digest=bundle.digest,
        size_bytes=bundle.size_bytes,
        title=manifest.title,
        manifest=manifest.model_dump(mode="json", by_alias=True),
        requirements=tuple(wanted.text for wanted in bundle.requirements.wanted),
        uploaded_at=parts.clock(),
        uploaded_by=who,
    )


async def request_activation(
    parts: Parts, *, package: str, version: str, who: str, reason: str
) -> Activation:
    """Ask for a version to be made active; raise StateConflict while another try is open."""
    found = await parts.store.run(packages.get_version, package=package, version=version)
    activation = await parts.store.run(
        activations.request,
        activation_id=new_id(),
        version=found,
        who=who,
        reason=reason,
        at=parts.clock(),
    )
    await parts.dispatch.activation(activation.id)
    return activation


async def roll_back(parts: Parts, *, package: str, who: str, reason: str) -> Package:
    """Make the version active again that was so before; it is ready, so this takes no time."""
    former = await parts.store.run(activations.former, package=package)
    await parts.store.run(
        packages.switch,
        package=package,
        version=former.version,
        activation_id=former.id,
    )
    await parts.store.run(
        audit.append,
        at=parts.clock(),
        who=who,
        action="package.rollback",
        subject=f"{package} {former.version}",
        details={"reason": reason, "activation": former.id},
    )
    return await parts.store.run(packages.get_package, name=package)
