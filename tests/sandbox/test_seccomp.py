"""The filters, line by line: golden listings per architecture, and a reader that runs them."""

import os
from errno import EAFNOSUPPORT, EINVAL, ENOMEM, ENOPROTOOPT, ENOSYS, ENOTTY, EPERM, EPROTONOSUPPORT
from pathlib import Path

import pytest

from sandbox.walls import seccomp, syscall_policy

GOLDEN = Path(__file__).with_name("golden")
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PROFILES = ("job", "job-without-namespaces", "warm", "warm-without-namespaces")
ALLOW, KILL, WARDEN = "allow", "kill", "the warden's alone"
THREAD, NEW_USER = 0x3D0F00, 0x10000011
ARGUMENTS = [
    ("clone3", (), ENOSYS),
    ("clone", (THREAD,), ALLOW),
    ("clone", (NEW_USER,), EPERM),
    ("socket", (1, 1), ALLOW),
    ("socket", (2, 1 | 0o4000), ALLOW),
    ("socket", (2, 3), EPERM),
    ("socket", (2, 2, 17), ALLOW),
    ("socket", (10, 1, 6), ALLOW),
    *(("socket", (2, 2, kind), EPROTONOSUPPORT) for kind in (1, 136, 0x20000011)),
    *(("socket", (2, 1, kind), EPROTONOSUPPORT) for kind in (132, 256, 262)),
    *(("setsockopt", (3, 1, option), ALLOW) for option in (2, 7, 37)),
    *(("setsockopt", (3, 1, option), EPERM) for option in (26, 50, 51, 52)),
    *(("setsockopt", (3, 6, option), ALLOW) for option in (1, 13, 18, 36)),
    *(("setsockopt", (3, 6, option), ENOPROTOOPT) for option in (14, 27, 31, 32, 33, 38)),
    *(("setsockopt", (3, 0, option), ALLOW) for option in (1, 10, 24)),
    *(("setsockopt", (3, 0, option), ENOPROTOOPT) for option in (4, 16, 35, 39, 41, 42, 46)),
    *(("setsockopt", (3, 41, option), ALLOW) for option in (26, 67)),
    *(("setsockopt", (3, 41, option), ENOPROTOOPT) for option in (20, 27, 32, 54, 57, 59)),
    *(("setsockopt", (3, level, 1), ENOPROTOOPT) for level in (17, 136, 58, 255, 263, 284)),
    ("sync", (), 0),
    ("mincore", (), ENOSYS),
    ("cachestat", (3,), ENOSYS),
    *(("madvise", (0x1000, 4096, advice), 0) for advice in (12, 20, 21)),
    *(("madvise", (0x1000, 4096, advice), ALLOW) for advice in (*range(12), 14, 22, 25)),
    ("syncfs", (3,), 0),
    ("socket", (16, 3), EAFNOSUPPORT),
    ("socket", (40, 1), EAFNOSUPPORT),
    ("ioctl", (0, 0x5413), ALLOW),
    ("ioctl", (0, 0x5412), EPERM),
    ("ioctl", (0, 0x541C), EPERM),
    ("ioctl", (0, 0x40086602), EPERM),
    ("ioctl", (0, 0x40046602), EPERM),
    ("ioctl", (0, 0x401C5820), EPERM),
    ("ioctl", (0, 0x80086601), ALLOW),
    *(("ioctl", (0, command), ALLOW) for command in (0x5401, 0x541B, 0x5421, 0x8912, 0x40049409)),
    *(("ioctl", (0, command), ENOTTY) for command in (0x8940, 0x8982, 0x89A0, 0x9408, 0xC0506617)),
    ("prctl", (22,), EPERM),
    ("prctl", (62,), EPERM),
    ("prctl", (15,), ALLOW),
    ("mmap", (0, 4096, 3, 0x40022), ENOMEM),
    ("mmap", (0, 4096, 3, 0x22), ALLOW),
    ("memfd_create", (0x1000, 5), ENOMEM),
    ("memfd_create", (0x1000, 3), ALLOW),
    ("shmget", (0, 4096, 0o4600), ENOMEM),
    ("shmget", (0, 4096, 0o1600), ALLOW),
    ("fcntl", (0, 1024), EPERM),
    ("fcntl", (0, 1026), EPERM),
    ("fcntl", (0, 1040), EINVAL),
    ("fcntl", (0, 1030), ALLOW),
    ("fcntl", (0, 38), ALLOW),
    ("getsockopt", (3, 1, 57), ENOPROTOOPT),
    ("getsockopt", (3, 1, 71), ENOPROTOOPT),
    ("getsockopt", (3, 1, 3), ALLOW),
    ("getsockopt", (3, 6, 57), ALLOW),
    ("inotify_init1", (), EPERM),
    ("inotify_add_watch", (), EPERM),
    ("socketpair", (1, 2), ALLOW),
    ("socketpair", (2, 1), EAFNOSUPPORT),
    ("setrlimit", (4, 0x1000), 0),
    ("setrlimit", (7, 0x1000), ALLOW),
    ("prlimit64", (0, 4, 0x1000), 0),
    ("prlimit64", (0, 4, 0, 0x1000), ALLOW),
    ("prlimit64", (0, 7, 0x1000), ALLOW),
    ("personality", (0xFFFFFFFF,), ALLOW),
    ("personality", (0x40000,), EPERM),
    ("execveat", (0, 0, 0, 0, 0x1000), EPERM),
    ("execveat", (0, 0, 0, 0, 0), ALLOW),
]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_filter_is_as_reviewed(machine, profile):
    """After a deliberate change: FUMEHOOD_GOLDEN=write scripts/test, and review the diff."""
    path = GOLDEN / f"seccomp-{machine}-{profile}.txt"
    now = listing(profile, machine)
    if os.environ.get("FUMEHOOD_GOLDEN") == "write":
        path.write_text(now)
    assert path.read_text() == now


@pytest.mark.parametrize("machine", MACHINES)
def test_every_refused_call_is_refused_and_the_ordinary_ones_are_not(machine):
    policy = syscall_policy.policy(machine)
    for name in policy.denied:
        if name in policy.numbers:
            assert verdict("job", machine, policy.numbers[name]) in {EPERM, ENOSYS}, name
    for number in {"x86_64": (0, 1, 9, 39, 59), "aarch64": (63, 64, 222, 172, 221)}[machine]:
        assert verdict("job", machine, number) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide_where_they_must(machine):
    numbers = syscall_policy.policy(machine).numbers
    for name, arguments, expected in ARGUMENTS:
        assert verdict("job", machine, numbers[name], arguments) == expected, (name, arguments)
    for profile in ("warm", "warm-without-namespaces"):
        assert verdict(profile, machine, numbers["clone"], (NEW_USER,)) == WARDEN
        assert verdict(profile, machine, numbers["unshare"]) == WARDEN
        assert verdict(profile, machine, numbers["setns"]) == WARDEN
    assert verdict("job-without-namespaces", machine, numbers["socket"], (1, 1)) == EPERM
    assert verdict("job-without-namespaces", machine, numbers["socketpair"], (1, 1)) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_a_path_gets_no_time_of_now_and_all_else_is_pretended(machine):
    """So that pathlib's touch, which asks for that first, goes on and makes the file."""
    utimensat = syscall_policy.policy(machine).numbers["utimensat"]
    here, path, times = 0xFFFFFF9C, 0x7F0000000000, 0x5500000000
    for arguments, expected in [
        ((here, path, 0, 0), EPERM),
        ((here, 0x1000, 0, 0), EPERM),
        ((here, path, times, 0), 0),
        ((3, 0, 0, 0), 0),
        ((3, 0, times, 0), 0),
    ]:
        assert verdict("job-without-namespaces", machine, utimensat, arguments) == expected
    assert verdict("job", machine, utimensat, (here, path, 0, 0)) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_where_the_hosts_sockets_are_in_reach_there_are_only_pairs_of_streams(machine):
    numbers = syscall_policy.policy(machine).numbers
    high_half = {16 + 8 * 4 + 4: 1}
    for name, arguments, expected in [
        *((name, (3,), EPERM) for name in ("connect", "bind", "listen", "accept", "accept4")),
        ("socketpair", (1, 1 | 0o2000000 | 0o4000), ALLOW),
        *(("socketpair", (1, kind), EPERM) for kind in (2, 3, 5, 2 | 0o4000)),
        ("socketpair", (2, 1), EAFNOSUPPORT),
        ("sendto", (3, 0, 0, 0, 0), ALLOW),
        ("sendto", (3, 0, 0, 0, 0x1000), EPERM),
        ("pidfd_open", (1,), EPERM),
    ]:
        said = verdict("job-without-namespaces", machine, numbers[name], arguments)
        assert said == expected, (name, arguments)
    said = verdict("job-without-namespaces", machine, numbers["sendto"], (3,), more=high_half)
    assert said == EPERM, "an address of which the low half is zero"


@pytest.mark.parametrize("machine", MACHINES)
def test_a_run_that_shares_its_user_may_change_itself_and_not_all_of_its_users(machine):
    numbers = syscall_policy.policy(machine).numbers
    process, user, io_process, io_user, somebody = 0, 2, 1, 3, 77
    for name, arguments, expected in [
        ("setpriority", (process, 0), ALLOW),
        ("setpriority", (process, somebody), EPERM),
        ("setpriority", (user, 0), EPERM),
        ("ioprio_set", (io_process, 0), ALLOW),
        ("ioprio_set", (io_process, somebody), EPERM),
        ("ioprio_set", (io_user, 0), EPERM),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (somebody,), EPERM),
    ]:
        said = verdict("job-without-namespaces", machine, numbers[name], arguments)
        assert said == expected, (name, arguments)


@pytest.mark.parametrize("machine", MACHINES)
def test_where_other_processes_are_in_sight_their_clocks_are_not(machine):
    """A process's clocks have the complement of its pid in their upper bits, one's own have none."""
    numbers = syscall_policy.policy(machine).numbers
    for name in ("clock_gettime", "clock_getres", "clock_nanosleep", "timer_create"):
        for clock in (*range(12), *range(0xFFFFFFF8, 0x100000000)):
            assert verdict("job-without-namespaces", machine, numbers[name], (clock,)) == ALLOW
        for pid in (1, 77, 4_194_304):
            clock = ~pid << 3 & 0xFFFFFFFF | 2
            assert verdict("job-without-namespaces", machine, numbers[name], (clock,)) == EINVAL
            assert verdict("job", machine, numbers[name], (clock,)) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_a_fork_of_a_warm_cell_is_refused_all_that_a_cold_cell_is(machine):
    """But for mount(2), for which it has no capability, and what only the warden may make."""
    numbers = syscall_policy.policy(machine).numbers
    calls = [(number, ()) for number in range(1200)]
    calls += [(numbers[name], arguments) for name, arguments, _ in ARGUMENTS]
    for kind in ("", "-without-namespaces"):
        for number, arguments in calls:
            expected = verdict("job" + kind, machine, number, arguments)
            said = verdict("warm" + kind, machine, number, arguments)
            if said == WARDEN:
                assert expected == EPERM
            elif number != numbers["mount"] or kind:
                assert said == expected, (kind, number, arguments)


def test_foreign_abis_are_killed_and_unreviewed_calls_do_not_exist():
    assert verdict("job", "x86_64", 1, architecture=0x40000003) == KILL
    assert verdict("job", "x86_64", 0x40000001) == KILL
    assert verdict("job", "x86_64", 463) == ENOSYS
    assert verdict("job", "aarch64", 999) == ENOSYS


def listing(profile, machine) -> str:
    lines = [
        f"{at:3} {code:02x} {yes:3} {no:3} {operand:08x}  {why}"
        for at, (code, yes, no, operand, why) in enumerate(
            seccomp.instructions(profile, machine=machine)
        )
    ]
    return "\n".join(lines) + "\n"


def verdict(profile, machine, number, arguments=(), architecture=None, more=None):
    """Run the filter as the kernel would (Documentation/networking/filter.rst)."""
    words = {0: number, 4: MACHINES[machine] if architecture is None else architecture}
    words |= {16 + 8 * index: value for index, value in enumerate(arguments)}
    words |= more or {}
    program, at, accumulator = seccomp.instructions(profile, machine=machine), 0, 0
    while True:
        code, yes, no, operand, _ = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = words.get(operand, 0)
            case 0x54:
                accumulator &= operand
            case 0x05:
                at += operand
            case 0x06:
                answers = {0x80000000: KILL, 0x7FFF0000: ALLOW, 0x7FF00000: WARDEN}
                return answers.get(operand, operand & 0xFFFF)
            case _:
                holds = {
                    0x15: accumulator == operand,
                    0x25: accumulator > operand,
                    0x35: accumulator >= operand,
                    0x45: bool(accumulator & operand),
                }[code]
                at += yes if holds else no
