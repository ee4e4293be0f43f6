"""The page of /docs in a real browser: it shows the document, and calls the API, under its own policy and offline."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.timeout(180),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        # As root Chromium starts without its own sandbox only; it sees nothing but the service.
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser has refused, or what went wrong in scripts; requests to others."""
    return []


@pytest.fixture
def page(browser: Browser, service, complaints: list[str]) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith((service.url, "data:")) or complaints.append(sent.url))
    yield page
    page.close()


def test_it_shows_every_operation_and_sends_no_request_to_other_hosts(page, service, complaints):
    page.goto(f"{service.url}/docs")
    shown = [item for methods in service.get("/openapi.json").json()["paths"].values() for item in methods]
    expect(page.locator(".opblock")).to_have_count(len(shown), timeout=60_000)
    assert complaints == []


def test_a_call_with_a_token_is_answered(page, service, token, complaints):
    page.goto(f"{service.url}/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").first.fill(token("alice", "execute:all"))
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    row = page.locator("#operations-Sessions-list_sessions")
    row.locator(".opblock-summary-control").click()
    row.get_by_role("button", name="Try it out").click()
    row.get_by_role("button", name="Execute").click()
    expect(row.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200", timeout=60_000)
    assert complaints == []


def test_no_script_can_be_slipped_in(page, service):
    page.goto(f"{service.url}/docs")
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate(
            "() => { const s = document.createElement('script'); s.text = 'window.slipped = 1'; document.body.append(s) }"
        )
    assert page.evaluate("() => window.slipped") is None
