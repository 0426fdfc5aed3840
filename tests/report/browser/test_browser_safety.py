"""Texts of a model stay text, and the page's policy stops injected scripts."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.chromium import Browser
from support.judged_files import amend, write_judged
from support.lines import fault, stage_a_line, verdict
from support.report_page import LANGUAGES, Report, shown, written

pytestmark = pytest.mark.browser
SCRIPTS = (
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 2</script>",
    "<img src=x onerror='window.ran = 3'>",
    '"><svg onload="window.ran = 4">',
    "javascript:window.ran=5",
    "<style>body { display: none }</style>",
    "<!--<script>",
)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_script_in_a_models_answer_does_not_run_and_is_shown_as_text(
    browser: Browser, tmp_path: Path, lang: str
) -> None:
    text = " ".join(SCRIPTS)
    name = f"QC {text}".replace("/", "∕")  # a folder name cannot have a slash
    line = stage_a_line(name, "pass", text, images=[f"/photos/{name}.jpg"])
    file = write_judged(
        tmp_path, [verdict(name, reason=text)], [line, stage_a_line("QC-2")], [fault("QC-2", message=text)]
    )
    amend(file, checkpoint=text, prompts={"system": text})
    report = written([file], tmp_path / "report", lang, threshold=None)
    browser.open(report.page, "outcome=release")
    assert shown(browser) == name
    assert text in browser.texts("#group .said dd")
    assert browser.text(".photos .summary").replace("\n", "") == text
    assert browser.text(".photos .file") == f"{name}.jpg"
    browser.choose("#outcome", "error")
    assert f"generate: {text}" in browser.texts("#group .said dd")
    assert text in browser.text("header")
    browser.click("details:has(.origin) > summary")
    assert browser.text(".origin pre") == text
    assert browser.run("return window.ran === undefined")
    assert browser.console() == []  # nothing had to be stopped by the policy
    assert browser.count("script") == 2
    assert browser.count("img:not(#large-photo), style:not(head style), svg:not(.plot svg, .bar)") == 0


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A local server: its address, and the paths requested from it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()


def test_the_policy_stops_an_injected_script_and_request(
    browser: Browser, report: Report, server: tuple[str, list[str]]
) -> None:
    """Tests the policy alone, by injecting markup that the escaping would prevent."""
    address, asked = server
    browser.open(report.page)
    stopped = browser.chrome.execute_async_script(
        """
        const [address, done] = arguments, stopped = [];
        document.addEventListener("securitypolicyviolation", (event) => {
          stopped.push(event.effectiveDirective);
          if (stopped.length === 4) done(stopped.sort());
        });
        const put = (tag, values) => document.body.append(Object.assign(document.createElement(tag), values));
        put("script", { textContent: "window.ran = 1" });
        put("script", { src: address + "/script" });
        put("img", { src: address + "/img" });
        fetch(address + "/fetch").catch(() => {});
        """,
        address,
    )
    assert stopped == ["connect-src", "img-src", "script-src-elem", "script-src-elem"]
    assert asked == []
    assert browser.run("return window.ran === undefined")
