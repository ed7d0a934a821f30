"""The pages: in a real browser, with nothing loaded from elsewhere; and as plain HTML."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from ..conftest import Server, running, zipped

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STORY = {
    "manifest.json": json.dumps({"schema": 1, "name": "story", "version": "1.0"}),
    "extract.py": """
import pathlib
import time


def extract(*, job, **_):
    print("<script>document.title = 'owned'</script>")
    for number in range(1, 4):
        job.progress(number, 3, f"chapter {number}")
        print(f"chapter {number}", flush=True)
        time.sleep(job.parameters.get("s", 0))
    (pathlib.Path(job.output_dir) / "story.txt").write_text("the end")
    return {"chapters": 3}
""",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing, and CI must try the pages")
        pytest.skip("Chromium is not installed (Debian's package chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def log_in(context: BrowserContext, server: Server) -> None:
    """Log a browser in, as the form of the login page does."""
    answer = context.request.post(f"{server.url}/login", form={"token": server.token})
    assert answer.ok, answer.status_text


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Callable[[str], Page]]:
    """Opens pages; whatever a page complains of or loads from elsewhere fails the test."""
    context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 900})
    log_in(context, server)
    complaints: list[str] = []

    def opened(path: str) -> Page:
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: complaints.append(sent.url) if is_foreign(sent.url) else 0)
        page.goto(server.url + path)
        return page

    def is_foreign(url: str) -> bool:
        return not url.startswith((server.url, "data:"))

    yield opened
    context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def story(server: Server) -> Server:
    assert server.activate(zipped("counts-words", changes=STORY))["state"] == "succeeded"
    return server


@pytest.mark.browser
def test_a_running_job_is_followed_live_to_its_end(
    story: Server, open_page: Callable[[str], Page]
) -> None:
    job_id = story.submit("story", files={"in.txt": b"once"}, s=0.7).json()["id"]
    page = open_page(f"/jobs/{job_id}")
    expect(page.locator("#log")).to_contain_text("chapter 3", timeout=30_000)
    expect(page.locator("#head .state")).to_have_text("succeeded", timeout=30_000)
    expect(page.locator("#live")).to_have_text("ended")
    expect(page.locator("#results")).to_contain_text("story.txt")
    expect(page.locator(".walls li").first).to_be_visible()
    expect(page.locator(".timeline .phase")).not_to_have_count(0)
    expect(page.locator("#log")).to_contain_text("<script>")
    assert "owned" not in page.title()
    numbers = page.locator("#log .no").all_inner_texts()
    assert numbers == sorted(set(numbers), key=int), "no line twice, none out of order"


@pytest.mark.browser
def test_an_output_is_downloaded_from_the_page(
    story: Server, open_page: Callable[[str], Page], tmp_path: Path
) -> None:
    job = story.ended(story.submit("story").json()["id"])
    page = open_page(f"/jobs/{job['id']}")
    with page.expect_download() as download:
        page.get_by_role("link", name="story.txt").click()
    download.value.save_as(tmp_path / "story.txt")
    assert (tmp_path / "story.txt").read_text() == "the end"


@pytest.mark.browser
def test_the_log_is_filtered_and_wrapped(story: Server, open_page: Callable[[str], Page]) -> None:
    job = story.ended(story.submit("story").json()["id"])
    page = open_page(f"/jobs/{job['id']}")
    page.get_by_label("Filter lines").fill("chapter 2")
    expect(page.locator("#log .line:visible")).to_have_count(1)
    page.get_by_label("Wrap").check()
    expect(page.locator("#log")).to_have_class("log wrap")


@pytest.mark.browser
def test_a_failure_says_what_to_do_and_a_job_is_tried_again(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    server.activate(zipped("extract-raises"))
    job = server.ended(server.submit("extract-raises").json()["id"])
    page = open_page(f"/jobs/{job['id']}")
    failure = page.get_by_role("region", name="Error")
    expect(failure).to_contain_text("the third column is empty")
    expect(failure).to_contain_text("What to do")
    expect(failure).to_contain_text("Traceback")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("link", name="attempt 2")).to_be_visible(timeout=30_000)


@pytest.mark.browser
def test_a_running_job_is_cancelled_from_its_page(
    server: Server, open_page: Callable[[str], Page]
) -> None:
    server.activate(zipped("extract-hangs"))
    job_id = server.submit("extract-hangs").json()["id"]
    page = open_page(f"/jobs/{job_id}")
    expect(page.locator("#log")).to_contain_text("hanging", timeout=30_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#head .state")).to_have_text("cancelled", timeout=30_000)


@pytest.mark.browser
def test_the_list_is_filtered_and_shows_new_jobs(
    story: Server, open_page: Callable[[str], Page]
) -> None:
    page = open_page("/")
    page.get_by_label("Package").select_option("story")
    page.wait_for_url("**package=story*")
    page.mouse.move(2, 2)
    job_id = story.submit("story").json()["id"]
    row = page.locator(f"a[href='/jobs/{job_id}']")
    expect(row).to_be_visible(timeout=30_000)
    packages = page.locator("#jobs tbody tr td:nth-child(3)").all_inner_texts()
    assert {text.partition("@")[0] for text in packages} == {"story"}


@pytest.mark.browser
def test_the_gate_is_in_the_header_of_every_page(
    story: Server, open_page: Callable[[str], Page]
) -> None:
    story.http.put("/v1/gate", json={"is_open": True, "reason": "to see it", "who": "ana"})
    try:
        for path in ("/", "/packages", "/docs"):
            expect(open_page(path).locator("#gate")).to_contain_text("open until")
    finally:
        story.http.put("/v1/gate", json={"is_open": False})
    expect(open_page("/").locator("#gate")).to_contain_text("closed")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_fits_its_window(
    story: Server, browser: Browser, scheme: str, width: int
) -> None:
    job = story.ended(story.submit("story", files={"in.txt": b"x"}).json()["id"])
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    log_in(context, story)
    page = context.new_page()
    for path in ("/", f"/jobs/{job['id']}", "/packages", "/docs"):
        page.goto(story.url + path)
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{path} is {overflow} px wider than its window"
    context.close()


def test_a_job_that_still_waits_has_a_page(tmp_path: Path) -> None:
    with running(tmp_path / "home", slots="1") as server:
        server.activate(zipped("extract-hangs"))
        first, second = (server.submit("extract-hangs").json()["id"] for _ in range(2))
        server.until(f"/v1/jobs/{first}", lambda job: job["state"] == "running")
        shown = server.http.get(f"/jobs/{second}")
        assert shown.status_code == 200
        assert "queued" in shown.text and "Written when the attempt begins" in shown.text
        for job_id in (second, first):
            server.http.post(f"/v1/jobs/{job_id}/cancel")
        assert server.http.get(f"/jobs/{second}").status_code == 200


def test_a_page_is_whole_without_scripts_and_may_load_nothing_from_elsewhere(
    story: Server,
) -> None:
    job = story.ended(story.submit("story", files={"in.txt": b"x"}).json()["id"])
    for path in ("/", f"/jobs/{job['id']}", "/packages", "/docs"):
        answer = story.http.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "http://" not in answer.text.replace(story.url, "").replace("www.w3.org", "")
        assert "https://" not in answer.text.replace("https://json-schema.org", "")
    assert "chapter 3" in story.http.get(f"/jobs/{job['id']}").text
    assert "&lt;script&gt;document.title" in story.http.get(f"/jobs/{job['id']}").text


@pytest.mark.browser
def test_a_link_logs_in_and_one_is_logged_out_here_and_from_elsewhere(
    browser: Browser, server: Server
) -> None:
    context = browser.new_context()
    page = context.new_page()
    for leave in (press_log_out, end_sessions):
        link = server.http.post("/v1/login-links").json()["path"]
        page.goto(server.url + link)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
        cookie = next(one for one in context.cookies() if one["name"] == "fumehood")
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.goto(f"{server.url}/packages")
        leave(page, server)
        page.goto(f"{server.url}/packages")
        expect(page.get_by_label("Token")).to_be_visible()
        page.goto(server.url + link)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("link was used")
    context.close()


def press_log_out(page: Page, server: Server) -> None:
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{server.url}/login*")


def end_sessions(page: Page, server: Server) -> None:
    for session in server.http.get("/v1/sessions").json()["items"]:
        assert server.http.delete(f"/v1/sessions/{session['id']}").status_code == 204
