"""The bill of materials of an environment, as CycloneDX 1.6 JSON. Same inventory, same bytes.

It is written as plain JSON. cyclonedx-python-lib was tried here: the code is no shorter, its
import takes 180 ms, and its decorators hide every constructor from a strict type checker (41
errors for one component). Its schema judges what is written here, in the tests.
"""

import json
import uuid
from collections.abc import Iterable
from datetime import UTC
from typing import Any
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from packages.environment.inventory import Installed, Inventory
from wheelhouse.advisories.advisories import Advisories
from wheelhouse.advisories.osv import Advisory

NAMESPACE = uuid.UUID("6f0a3b1e-4c55-5a2e-9a55-2d9a1c0a7c3e")


def sbom(
    inventory: Inventory, *, name: str, version: str, advisories: Iterable[Advisory] = ()
) -> str:
    """Return the SBOM of the environment that version `version` of package `name` runs in."""
    subject = f"{name}@{version}"
    installed = [_ref(item) for item in inventory.installed]
    told = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, f'{subject} {inventory.key}')}",
        "metadata": {
            "timestamp": inventory.built_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": subject,
                "name": name,
                "version": version,
            },
        },
        "components": [*map(_component, inventory.installed), _python(inventory)],
        "dependencies": [{"ref": subject, "dependsOn": installed}],
        "vulnerabilities": [_vulnerability(advisory) for advisory in advisories],
    }
    return json.dumps(told, indent=1) + "\n"


def touching(inventory: Inventory, advisories: Advisories) -> list[Advisory]:
    """Return every known advisory against what is installed."""
    return [
        advisory
        for item in inventory.installed
        for advisory in advisories.touching(item.name, item.version)
    ]


def _component(item: Installed) -> dict[str, Any]:
    digest = item.sha256.removeprefix("sha256:")
    return {
        "type": "library",
        "bom-ref": _ref(item),
        "name": item.name,
        "version": item.version,
        "purl": f"pkg:pypi/{item.name}@{quote(item.version)}?file_name={quote(item.wheel)}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": _licences(item.licence),
        "properties": [{"name": "fumehood:source", "value": item.source}],
    }


def _licences(text: str) -> list[dict[str, Any]]:
    """Return an SPDX expression where `text` is one, else the text as a name."""
    if not text:
        return []
    try:
        return [{"expression": canonicalize_license_expression(text)}]
    except InvalidLicenseExpression:
        return [{"license": {"name": text}}]


def _python(inventory: Inventory) -> dict[str, Any]:
    return {
        "type": "platform",
        "bom-ref": f"cpython@{inventory.python}",
        "name": "cpython",
        "version": inventory.python,
        "properties": [{"name": "fumehood:platform", "value": inventory.platform}],
    }


def _vulnerability(advisory: Advisory) -> dict[str, Any]:
    fixed = advisory.fixed_in
    return {
        "id": advisory.id,
        "source": {"name": "OSV"},
        "references": [{"id": a, "source": {"name": "alias"}} for a in advisory.aliases],
        "description": advisory.summary,
        **({"recommendation": f"use {fixed} or later"} if fixed else {}),
        "affects": [{"ref": f"{advisory.name}@{advisory.version}"}],
    }


def _ref(item: Installed) -> str:
    return f"{item.name}@{item.version}"
