"""What a run with network may reach, decided without a network: hosts, addresses, questions."""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.network import addresses, dns
from sandbox.network.names import Names
from sandbox.network_rules import NetworkRules, covers, is_name

RULES = NetworkRules(hosts=("api.example.org", "*.example.net"), ports=(443, 8080))


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ("api.example.org", 443, ""),
        ("api.example.org", 8080, ""),
        ("a.example.net", 443, ""),
        ("a.b.example.net", 443, ""),
        ("api.example.org", 80, "80 is not on the list of ports"),
        ("example.net", 443, "example.net is not on the list of hosts"),
        ("badexample.net", 443, "badexample.net is not on the list of hosts"),
        ("api.example.org.evil.test", 443, "api.example.org.evil.test is not on the list of hosts"),
        ("x.api.example.org", 443, "x.api.example.org is not on the list of hosts"),
        ("API.example.org", 443, "API.example.org is not the name of a host"),
        ("api.example.org.", 443, "api.example.org. is not the name of a host"),
        ("", 443, " is not the name of a host"),
    ],
)
def test_hosts_and_ports_are_held_against_the_list(host: str, port: int, why: str):
    assert RULES.refusal(host, port) == why


@pytest.mark.parametrize(
    "spelling",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.0.0.0x1"),
        *("::1", "[::1]", "a..b", "-a.test", "a-.test", "a b.test", "a\x00.test", "é.test"),
        *("a" * 64 + ".test", ".".join(["a"] * 130), "*.example.net", "169.254.169.254", "1.0x"),
    ],
)
def test_an_address_in_any_spelling_is_no_name_even_where_every_host_is_allowed(spelling: str):
    assert not is_name(spelling)
    assert "is not the name" in NetworkRules(hosts=("*",)).refusal(spelling, 443)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "{:#x}", "0{:o}"]))
def test_no_number_is_ever_a_name(number: int, form: str):
    assert not is_name(form.format(number))


def test_any_host_is_any_name():
    assert NetworkRules(hosts=("*",)).refusal("whatever.test", 80) == ""


@pytest.mark.parametrize(
    ("pattern", "host", "is_covered"),
    [
        ("*", "*", True),
        ("*", "*.a.test", True),
        ("*.a.test", "*.a.test", True),
        ("*.a.test", "*.b.a.test", True),
        ("*.a.test", "x.a.test", True),
        ("*.a.test", "a.test", False),
        ("*.b.a.test", "*.a.test", False),
        ("x.a.test", "*.a.test", False),
        ("*.a.test", "*", False),
    ],
)
def test_a_pattern_covers_names_and_narrower_patterns(pattern: str, host: str, *, is_covered: bool):
    assert covers(pattern, host) is is_covered


LABELS = st.sampled_from(["a", "b", "www"])
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "test"]))
PATTERNS = st.one_of(st.just("*"), NAMES, NAMES.map(lambda name: f"*.{name}"))


@given(st.lists(PATTERNS, max_size=4), st.lists(PATTERNS, max_size=4), NAMES)
def test_narrowed_rules_allow_what_both_lists_allow_and_nothing_else(
    admins: list[str], wished: list[str], host: str
):
    rules = NetworkRules(hosts=tuple(admins))
    both = any(covers(one, host) for one in admins) and any(covers(one, host) for one in wished)
    assert (rules.narrowed_to(wished).refusal(host, 443) == "") is both


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": ("http://example.org",)},
        {"hosts": ("Example.org",)},
        {"hosts": ("10.0.0.1",)},
        {"hosts": ("*.*.example.org",)},
        {"hosts": ("exa*mple.org",)},
        {"ports": (0,)},
        {"ports": (65_536,)},
        {"ports": (53,)},
        {"ports": tuple(range(1000, 1033))},
        {"private": ("10.0.0.1/8",)},
        {"private": ("localhost",)},
        {"most_mb": 0},
    ],
    ids=str,
)
def test_rules_that_nobody_can_mean_are_refused(wrong: dict):
    with pytest.raises(ValueError, match=r"."):
        NetworkRules(**wrong)


PUBLIC = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"]
NOT_PUBLIC = {
    "0.0.0.0": "of this host itself",
    "127.0.0.1": "of this host itself",
    "127.255.255.254": "of this host itself",
    "::": "of this host itself",
    "::1": "of this host itself",
    "169.254.169.254": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "168.63.129.16": "a cloud's metadata",
    "100.100.100.200": "a cloud's metadata",
    "192.0.0.192": "a cloud's metadata",
    "10.0.0.1": "of a private network",
    "172.31.255.255": "of a private network",
    "192.168.1.1": "of a private network",
    "100.64.0.1": "of a private network",
    "fd00:ec2::254": "of a private network",
    "fd20:ce::254": "of a private network",
    "fec0::1": "of a private network",
    "224.0.0.1": "multicast or broadcast",
    "255.255.255.255": "multicast or broadcast",
    "ff02::1": "multicast or broadcast",
    "198.18.0.1": "reserved",
    "192.88.99.1": "reserved",
    "240.0.0.1": "reserved",
    "2001:db8::1": "reserved",
    "::ffff:127.0.0.1": "an IPv4 address in the form of IPv6",
    "::ffff:8.8.8.8": "an IPv4 address in the form of IPv6",
    "::127.0.0.1": "an IPv4 address in the form of IPv6",
    "64:ff9b::7f00:1": "an IPv4 address in the form of IPv6",
    "64:ff9b:1::a9fe:a9fe": "an IPv4 address in the form of IPv6",
    "2002:7f00:1::": "an IPv4 address in the form of IPv6",
    "2001:0:a9fe:a9fe::1": "reserved",
    "2a00:1450::5efe:7f00:1": "an IPv4 address in the form of IPv6",
    "4000::1": "not public",
}


def refusal(address: str, *allowed: str, is_own: bool = False) -> str:
    return addresses.refusal(address, is_own=is_own, allowed=addresses.networks(allowed))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached(address: str):
    assert refusal(address) == ""


@pytest.mark.parametrize(("address", "kind"), NOT_PUBLIC.items())
def test_no_address_that_is_not_public_may_be_reached(address: str, kind: str):
    assert kind in refusal(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_hosts_own_may_not_be_reached_however_public(address: str):
    assert "of this host itself" in refusal(address, is_own=True)
    assert refusal(address, address, is_own=True) == ""


def test_a_network_that_the_admin_names_may_be_reached_and_its_neighbour_not():
    assert refusal("10.1.2.3", "10.1.2.0/24") == ""
    assert refusal("10.1.3.3", "10.1.2.0/24") != ""
    assert refusal("127.0.0.1", "127.0.0.1", is_own=True) == ""


def test_whoever_allows_a_prefix_of_nat64_has_not_allowed_what_is_behind_it():
    assert refusal("64:ff9b::808:808", "64:ff9b::/96") == ""
    assert "link-local" in refusal("64:ff9b::a9fe:a9fe", "64:ff9b::/96")
    assert "of this host itself" in refusal("64:ff9b::7f00:1", "64:ff9b::/96")


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_passes_that_python_knows_not_to_be_public(address: IPv4Address | IPv6Address):
    if not address.is_global or address.is_multicast or address.is_loopback:
        assert refusal(str(address)) != ""
    if address.is_link_local or address.is_private or address.is_reserved:
        assert refusal(str(address)) != ""


WITHIN = ["::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/96", "2a00:1450::5efe:0:0/96"]


@given(st.ip_addresses(v=4), st.sampled_from(WITHIN))
def test_no_ipv4_address_passes_in_a_form_of_ipv6(address: IPv4Address, prefix: str):
    within = IPv6Address(int(ip_network(prefix).network_address) | int(address))
    assert refusal(str(within)) != ""


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_passes_as_6to4_or_teredo(address: IPv4Address):
    assert refusal(str(IPv6Address(0x2002 << 112 | int(address) << 80))) != ""
    assert refusal(str(IPv6Address(0x20010000 << 96 | int(address) ^ 0xFFFFFFFF))) != ""


def question(name: str, *, kind: int = 1, flags: int = 0x0100, count: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 7, flags, count, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)


def code_of(answer: bytes | None) -> int:
    assert answer is not None
    return answer[3] & 0xF


def test_a_name_is_answered_with_an_address_that_stays():
    names = Names()
    answer = dns.answer(question("API.example.org"), find=names.address_of)
    assert answer is not None and code_of(answer) == 0
    assert socket.inet_ntoa(answer[-4:]) == names.address_of("api.example.org") == "198.18.0.1"
    assert names.name_of("198.18.0.1") == "api.example.org"
    assert names.address_of("other.example.org") == "198.18.0.2"


def test_ipv6_and_all_other_kinds_are_answered_with_nothing_of_the_kind():
    for kind in (28, 5, 12, 15, 16, 33, 65, 255):
        answer = dns.answer(question("api.example.org", kind=kind), find=Names().address_of)
        assert answer is not None and code_of(answer) == 0
        assert struct.unpack_from("!6H", answer)[2:4] == (1, 0)


def test_names_that_are_none_do_not_exist_and_the_list_of_names_has_an_end():
    names = Names(most=2)
    assert code_of(dns.answer(question("127.0.0.1"), find=names.address_of)) == 3
    for number in range(5):
        answer = dns.answer(question(f"n{number}.test"), find=names.address_of)
        assert code_of(answer) == (0 if number < 2 else 2)
    assert names.address_of("n0.test") == "198.18.0.1"


def test_malformed_questions_are_answered_so_or_not_at_all():
    find = Names().address_of
    assert dns.answer(b"", find=find) is None
    assert dns.answer(question("a.test", flags=0x8000), find=find) is None
    assert dns.answer(question("a.test") + b"\0" * 2000, find=find) is None
    assert code_of(dns.answer(question("a.test", count=2), find=find)) == 1
    assert code_of(dns.answer(question("a.test")[:14], find=find)) == 1
    assert code_of(dns.answer(question("a.test", flags=0x2800), find=find)) == 4
    pointing_at_itself = question("a.test")[:12] + b"\xc0\x0c\0\x01\0\x01"
    assert code_of(dns.answer(pointing_at_itself, find=find)) == 1


@given(st.binary(max_size=1400))
def test_whatever_is_asked_is_answered_in_few_bytes_or_not_at_all(asked: bytes):
    answer = dns.answer(asked, find=Names().address_of)
    assert answer is None or (len(answer) <= len(asked) + 16 and answer[:2] == asked[:2])
