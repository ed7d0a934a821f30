"""An index is somebody else's text: it leads only where the admin lets it, and costs a bounded lot."""

import asyncio
import resource
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.odd_index import Odd, answered, bomb, endless, leads_to, lists, odd_index, says
from support.wheels import make_wheel

from packages.bundle.requirements import Requirements
from packages.errors import LockFailed
from packages.index.index import Bounds, Index
from packages.index.leading import Leads, Origin, origins
from packages.lock.grant import Grant
from packages.lock.locker import Locker, Locking
from packages.tools import UV
from sandbox.command import Interpreter

type Wants = Callable[[str], Requirements]
type Lock = Callable[..., "asyncio.Future[Locking]"]

NAME = "demo-1.0-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "made", "demo")


@pytest.fixture
def lock(locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant) -> Lock:
    async def locking(odd: Odd, **index: object) -> Locking:
        through = Index(url=odd.url, **index)  # type: ignore[arg-type]
        return await replace(locker, index=through).lock(
            wants("demo"), interpreter=interpreter, grant=opened
        )

    return locking  # type: ignore[return-value]


async def told(work: "asyncio.Future[Locking]") -> dict[str, str]:
    with pytest.raises(LockFailed) as failed:
        await work
    return {problem.code: problem.what for problem in failed.value.problems}


async def test_what_is_on_this_host_cannot_be_told_by_what_uv_says_of_a_link(
    lock: Lock, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(b"a secret of the host")
    answers: list[dict[str, str]] = []
    for place in (tmp_path / NAME, tmp_path / "absent" / NAME):
        with odd_index() as odd:
            odd.routes["/simple/demo/"] = says(f"<a href='file://{place}'>{NAME}</a>".encode())
            problems = await told(lock(odd))
        assert list(problems) == ["leads-elsewhere"]
        answers.append(
            {
                code: what.replace(str(place), "…").replace(str(odd.port), "…")
                for code, what in problems.items()
            }
        )
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "address",
    [
        "ftp://127.0.0.1/{name}",
        "//169.254.169.254/latest/{name}",
        "http://[::1]:8000/{name}",
        "http://localhost:{port}/f/{name}",
        "https://127.0.0.1:{port}/f/{name}",
        "http://127.0.0.1:1/{name}",
        "http://user:word@other.example/{name}",
        "data:,x/{name}",
    ],
)
async def test_a_link_to_elsewhere_is_told_and_not_followed(
    address: str, lock: Lock, wheel: Path
) -> None:
    with odd_index() as odd:
        there = address.format(name=NAME, port=odd.port)
        odd.routes["/simple/demo/"] = says(lists((there, wheel)))
        assert list(await told(lock(odd))) == ["leads-elsewhere"]
        assert odd.paths() == ["/simple/demo/"]


@pytest.mark.parametrize("step", ["page", "metadata", "wheel"])
async def test_a_redirect_to_elsewhere_is_told_and_not_followed(
    step: str, lock: Lock, wheel: Path
) -> None:
    with odd_index() as odd, odd_index() as other:
        away = leads_to(other.at(f"/f/{NAME}"))
        page = lists((f"/f/{NAME}", wheel), more=" data-core-metadata=true")
        odd.routes |= {
            "/simple/demo/": away if step == "page" else says(page),
            f"/f/{NAME}.metadata": away if step == "metadata" else says(metadata_of(wheel)),
            f"/f/{NAME}": away if step == "wheel" else says(wheel.read_bytes()),
        }
        assert list(await told(lock(odd))) == ["leads-elsewhere"]
        assert other.asked == []


def metadata_of(wheel: Path) -> bytes:
    from wheelhouse.metadata.wheel import metadata_of as read

    return read(wheel)


async def test_another_host_may_be_named_and_its_address_as_well(lock: Lock, wheel: Path) -> None:
    with odd_index() as odd, odd_index({f"/f/{NAME}": says(wheel.read_bytes())}) as files:
        odd.routes["/simple/demo/"] = says(lists((files.at(f"/f/{NAME}"), wheel)))
        hosts = (f"127.0.0.1:{files.port}",)
        problems = await told(lock(odd, hosts=hosts))
        assert "of this host itself" in problems["leads-elsewhere"] and files.asked == []
        locking = await lock(odd, hosts=hosts, private=("127.0.0.0/8",))
    assert [one.name for one in locking.fetched] == ["demo"]


async def test_a_login_goes_to_the_very_origin_it_is_for(lock: Lock, wheel: Path) -> None:
    with odd_index() as odd, odd_index() as files:
        odd.routes |= {
            "/simple/demo/": leads_to("/simple/demo/index.html"),
            "/simple/demo/index.html": says(lists((files.at(f"/first/{NAME}"), wheel))),
            f"/back/{NAME}": says(wheel.read_bytes()),
        }
        files.routes[f"/first/{NAME}"] = leads_to(odd.at(f"/back/{NAME}"))
        await lock(
            odd,
            username="robot",
            password="s3cret",
            hosts=(f"127.0.0.1:{files.port}",),
            private=("127.0.0.1",),
        )
    with_login = {path for path, login in odd.asked if login}
    assert with_login == {"/simple/demo/", "/simple/demo/index.html"}
    assert files.asked and not [login for _, login in files.asked if login]
    assert any(path.startswith("/back/") for path in odd.paths()), "it came back without a login"


async def test_metadata_that_hides_a_dependency_is_told_before_a_lock_is_kept(
    lock: Lock, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path / "made", "demo", requires=["hidden"])
    open_metadata = metadata_of(wheel).replace(b"Requires-Dist: hidden\n", b"")
    page = lists((f"/f/{NAME}", wheel), more=" data-core-metadata=true")
    with odd_index() as odd:
        odd.routes |= {
            "/simple/demo/": says(page),
            f"/f/{NAME}.metadata": says(open_metadata),
            f"/f/{NAME}": says(wheel.read_bytes()),
        }
        assert list(await told(lock(odd))) == ["metadata-differs"]


@pytest.mark.parametrize("more", ["", " data-core-metadata=true"], ids=["wheel", "metadata"])
async def test_a_missing_hash_is_said(more: str, lock: Lock, wheel: Path) -> None:
    """uv fetches the whole wheel then, and computes a digest of what it was sent."""
    with odd_index() as odd:
        odd.routes |= {
            "/simple/demo/": says(lists((f"/f/{NAME}", wheel), digest=False, more=more)),
            f"/f/{NAME}": says(wheel.read_bytes()),
            f"/f/{NAME}.metadata": says(metadata_of(wheel)),
        }
        assert [problem.code for problem in (await lock(odd)).warnings] == ["no-hash"]


@pytest.mark.parametrize("route", [endless, bomb], ids=["endless", "gzip"])
async def test_a_page_has_so_many_bytes_at_most(
    route: Callable[[BaseHTTPRequestHandler], None], lock: Lock
) -> None:
    with odd_index({"/simple/demo/": route}) as odd:
        problems = await told(lock(odd, bounds=Bounds(page_mb=2)))
    assert (
        list(problems) == ["too-costly"] and f"more than {2 << 20} bytes" in problems["too-costly"]
    )


async def test_all_pages_of_a_lock_together_have_so_many_bytes_at_most(
    locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    page = says(b"<p>" + b" " * 900_000)
    names = [f"many{number}" for number in range(6)]
    with odd_index({f"/simple/{name}/": page for name in names}) as odd:
        index = Index(url=odd.url, bounds=Bounds(page_mb=1, lock_mb=2))
        with pytest.raises(LockFailed) as failed:
            await replace(locker, index=index).lock(
                wants(" | ".join(names)), interpreter=interpreter, grant=opened
            )
    (problem,) = failed.value.problems
    assert problem.code == "too-costly" and "all pages of a lock" in problem.what


async def test_a_page_that_drips_is_given_up(lock: Lock) -> None:
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.1):
            handler.wfile.write(b" ")

    with odd_index({"/simple/demo/": drip}) as odd:
        try:
            problems = await told(lock(odd, bounds=Bounds(page_s=1.0)))
        finally:
            stop.set()
    assert list(problems) == ["too-costly"] and "longer than 1 s" in problems["too-costly"]


async def test_a_wheel_is_given_up_in_its_time_too(lock: Lock, wheel: Path) -> None:
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.1):
            handler.wfile.write(b"P")

    with odd_index() as odd:
        page = lists((f"/f/{NAME}", wheel), more=" data-core-metadata=true")
        odd.routes |= {
            "/simple/demo/": says(page),
            f"/f/{NAME}.metadata": says(metadata_of(wheel)),
            f"/f/{NAME}": drip,
        }
        try:
            problems = await told(lock(odd, bounds=Bounds(wheel_s=1.0)))
        finally:
            stop.set()
    assert list(problems) == ["too-costly"]


async def test_every_tool_that_we_start_is_bounded(lock: Lock) -> None:
    """While uv and the doorway wait for a page, the kernel tells their limits."""
    asked, go_on = threading.Event(), threading.Event()

    def wait(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        go_on.wait(60)
        answered(handler, 404)

    with odd_index({"/simple/demo/": wait}) as odd:
        others = children()
        task = asyncio.ensure_future(lock(odd))
        await asyncio.to_thread(asked.wait, 60)
        limits = dict(limits_of(children() - others))
        go_on.set()
        assert list(await told(task)) == ["not-in-index"]
    assert limits["uv"] == UV.memory_mb << 20
    assert len(limits) >= 2 and resource.RLIM_INFINITY not in limits.values()


def children() -> set[str]:
    own = Path("/proc/self/task")
    return {pid for task in own.iterdir() for pid in (task / "children").read_text().split()}


def limits_of(pids: set[str]) -> list[tuple[str, int]]:
    return [
        (Path(f"/proc/{pid}/comm").read_text().strip(), address_space_of(pid))
        for pid in pids
        if "resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_text()
    ]


def address_space_of(pid: str) -> int:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    soft = next(line.split()[3] for line in lines if line.startswith("Max address space"))
    return resource.RLIM_INFINITY if soft == "unlimited" else int(soft)


@pytest.mark.parametrize(
    ("url", "entry", "is_let"),
    [
        ("https://files.example/x", "files.example", True),
        ("https://files.example:8443/x", "files.example", False),
        ("https://files.example:8443/x", "files.example:8443", True),
        ("http://FILES.example/x", "files.example", True),
        ("https://index.example/x", "", True),
        ("https://index.example:444/x", "", False),
        ("http://index.example/x", "", False),
        ("https://index.example.evil.example/x", "", False),
        ("https://index.example@evil.example/x", "", False),
        ("javascript:alert(1)", "", False),
        ("https:///x", "", False),
        ("https://index.example:port/x", "", False),
    ],
)
def test_the_rules_are_read_to_the_letter(url: str, entry: str, is_let: bool) -> None:  # noqa: FBT001
    leads = Leads(own=origins(["https://index.example/simple/"]), hosts=(entry,) if entry else ())
    assert (leads.refusal(url) == "") is is_let


def test_an_address_is_judged_unless_it_is_the_indexs_own() -> None:
    leads = Leads(own=(Origin.of("http://index.example/"),), hosts=("files.example",))
    assert leads.address_refusal("http://index.example/", "127.0.0.1") == ""
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1"):
        assert leads.address_refusal("http://files.example/", address)
    assert (
        replace(leads, private=("10.0.0.0/8",)).address_refusal("http://files.example/", "10.0.0.1")
        == ""
    )
