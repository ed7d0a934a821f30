"""What of the network a manifest is granted: its wish under the admin's rules."""

import json

import pytest

from packages.bundle.manifest import read_manifest
from packages.errors import ManifestRefused
from packages.lock.grant import Ceiling, GateState, Grant, decide
from sandbox.network_rules import NetworkRules

ADMINS = NetworkRules(hosts=("api.example.org", "*.example.net"))


def granted(network: dict, *, allowed: NetworkRules | None = ADMINS) -> Grant:
    return decide(
        read_manifest(manifest(network)), ceiling=Ceiling(run_network=allowed), gate=GateState()
    )


def manifest(network: dict) -> bytes:
    return json.dumps({"schema": 1, "name": "a", "version": "1", "network": network}).encode()


def why(grant: Grant) -> str:
    return next(one.why for one in grant.decisions if one.about == "run-network")


def test_a_wish_without_hosts_is_granted_all_that_the_admin_allows():
    grant = granted({"run": True})
    assert grant.run_network == ADMINS
    assert why(grant) == (
        "the manifest asks and the admin allows hosts api.example.org, *.example.net; ports 443, 80"
    )


def test_a_wish_for_hosts_narrows_what_the_admin_allows_and_says_what_is_missing():
    grant = granted({"run": True, "hosts": ["a.example.net", "evil.test"]})
    assert grant.run_network is not None
    assert grant.run_network.hosts == ("a.example.net",)
    assert why(grant).endswith("allows hosts a.example.net; ports 443, 80, but not evil.test")


@pytest.mark.parametrize(
    ("network", "allowed", "said"),
    [
        ({"run": False}, ADMINS, "the manifest asks for no network"),
        ({"hosts": ["api.example.org"]}, ADMINS, "the manifest asks for no network"),
        ({"run": True}, None, "the admin lets no package use the network"),
        ({"run": True}, NetworkRules(), "the admin names no host that may be reached"),
        ({"run": True, "hosts": ["evil.test"]}, ADMINS, "allows none of the hosts asked for: evil"),
    ],
)
def test_without_a_wish_or_a_host_there_is_no_network(network: dict, allowed, said: str):
    grant = granted(network, allowed=allowed)
    assert grant.run_network is None and said in why(grant)
    assert grant.to_dict()["run_network"] is False and grant.to_dict()["network"] is None


def test_the_grant_that_is_recorded_names_hosts_ports_and_networks():
    recorded = granted({"run": True, "hosts": ["api.example.org"]}).to_dict()
    assert recorded["run_network"] is True
    assert recorded["network"] == {
        "hosts": ["api.example.org"],
        "ports": [443, 80],
        "private": [],
        "most_mb": 4096,
    }


@pytest.mark.parametrize("host", ["http://a.test", "10.0.0.1", "A.test", "*", "a.*.test", "a..b"])
def test_a_manifest_may_wish_for_names_only(host: str):
    with pytest.raises(ManifestRefused) as refused:
        read_manifest(manifest({"run": True, "hosts": [host]}))
    (problem,) = refused.value.problems
    assert problem.where == "manifest.json#/network/hosts/0"
    assert "a host's name in lower case, or all below one" in problem.what
