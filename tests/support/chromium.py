"""A headless Chromium that opens pages from disk, for tests and for the pictures in the docs.

    with chromium(tmp_path) as browser:
        browser.open(tmp_path / "report.html")
        browser.click("#list .row:nth-child(2)")
        assert browser.text("#group h2") == "QC-2"

Selenium drives the installed Chromium with the installed chromedriver: nothing is downloaded. Selenium is imported when
a browser starts, so that other tests can be collected without it.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 60  # a machine may be busy
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
)  # fmt: skip


class NoBrowserError(Exception):
    """A program that the browser tests need is not installed."""


def programs() -> tuple[str, str]:
    """Paths of Chromium and chromedriver. Raises NoBrowserError, which names the packages to install."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not (browser and driver):
        missing = " and ".join(name for name, path in (("Chromium", browser), ("chromedriver", driver)) if not path)
        raise NoBrowserError(
            f"{missing} not found on PATH: apt-get install --no-install-recommends chromium chromium-driver "
            "fonts-wqy-microhei (Debian; the last is for Chinese in pictures)."
        )
    if find_spec("selenium") is None:
        raise NoBrowserError(
            "selenium is not installed: make test-browser, or pip install -c constraints.txt '.[browser]'"
        )
    return browser, driver


@contextmanager
def chromium(profile: Path) -> Iterator["Browser"]:
    """A browser with its own profile, closed at the end."""
    browser, driver = programs()
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = browser
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        chrome.set_script_timeout(TIMEOUT_S)
        yield Browser(chrome)
    finally:
        chrome.quit()


class Browser:
    """Shows one page at a time. A CSS selector refers to the first matching element."""

    def __init__(self, chrome: "Chrome") -> None:
        self.chrome = chrome

    def open(self, page: Path, fragment: str = "", width: int = 1440, height: int = 900) -> None:
        """Loads the page, at a width and height in CSS pixels, and clears the logs."""
        self.visit(page.as_uri() + (f"#{fragment}" if fragment else ""), width, height)

    def visit(self, url: str, width: int = 1440, height: int = 900, *, touch: bool = False) -> None:
        """As `open`, for any URL. `touch`: as a phone, whose pointer is a finger."""
        self.size(width, height, touch=touch)
        self.chrome.get("about:blank")  # otherwise another fragment of the same page would not reload it
        self.console()
        self.requests()
        self.chrome.get(url)

    def size(self, width: int, height: int, *, touch: bool = False) -> None:
        """Sets the size of the page. The window keeps its size."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.chrome.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch, "maxTouchPoints": 5})

    # Reading

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a JavaScript function body; `arguments[0]` … are its arguments."""
        return self.chrome.execute_script(script, *arguments)

    def texts(self, selector: str) -> list[str]:
        """The visible text of each element."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => (e.innerText ?? e.textContent).trim())"
        return list(self.run(script, selector))

    def text(self, selector: str) -> str:
        return self.texts(selector)[0]

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def element(self, selector: str) -> "WebElement":
        return self.chrome.find_element("css selector", selector)

    def elements(self, selector: str) -> list["WebElement"]:
        return self.chrome.find_elements("css selector", selector)

    def picture(self, selector: str) -> bytes:
        """The element's picture as PNG."""
        return bytes(self.element(selector).screenshot_as_png)

    # Acting

    def click(self, selector: str) -> None:
        self.element(selector).click()

    def press(self, *keys: str) -> None:
        """Sends keys to the focused element."""
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.chrome, duration=0).send_keys(key).perform()

    def point(self, selector: str, x: float, y: float) -> None:
        """Moves the pointer to a position in the element, in CSS pixels from its upper left corner."""
        from selenium.webdriver import ActionChains

        element = self.element(selector)
        box = self.run("const b = arguments[0].getBoundingClientRect(); return [b.width, b.height]", element)
        from_centre = round(x - box[0] / 2), round(y - box[1] / 2)
        ActionChains(self.chrome, duration=0).move_to_element_with_offset(element, *from_centre).perform()

    def touch(self, selector: str, x: float, y: float) -> None:
        """Taps a position in the element with a finger, in CSS pixels from its upper left corner."""
        box = "const b = arguments[0].getBoundingClientRect(); return [b.left, b.top]"
        left, top = self.run(box, self.element(selector))
        for kind, points in (("touchStart", [{"x": left + x, "y": top + y}]), ("touchEnd", [])):
            self.chrome.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def tap(self, selector: str, times: int = 1) -> None:
        """Taps the middle of the element with a finger, once or several times at once."""
        middle = (
            "const b = arguments[0].getBoundingClientRect(); return {x: b.left + b.width / 2, y: b.top + b.height / 2}"
        )
        points = [self.run(middle, self.element(selector))]
        for kind, touched in (("touchStart", points), ("touchEnd", [])) * times:
            self.chrome.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})

    def drag(self, *fingers: tuple[tuple[float, float], tuple[float, float]], steps: int = 12) -> None:
        """Moves each finger from one point of the page to another, all at once, and lifts them."""
        for step in range(steps + 1):
            points = [
                {"x": a[0] + (b[0] - a[0]) * step / steps, "y": a[1] + (b[1] - a[1]) * step / steps, "id": number}
                for number, (a, b) in enumerate(fingers)
            ]
            kind = "touchMove" if step else "touchStart"
            self.chrome.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        self.chrome.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def choose(self, selector: str, value: str) -> None:
        """Chooses an option of a select by its value."""
        from selenium.webdriver.support.ui import Select

        Select(self.element(selector)).select_by_value(value)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Waits for a condition; `what` describes it in the error."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.chrome, TIMEOUT_S, poll_frequency=0.05).until(lambda _: condition(), f"waited for: {what}")

    # Logs

    def console(self) -> list[str]:
        """Console messages since the page was opened, or since the last call."""
        return [entry["message"] for entry in self.chrome.get_log("browser")]

    def requests(self) -> list[str]:
        """URLs requested since the page was opened, or since the last call."""
        messages = (json.loads(entry["message"])["message"] for entry in self.chrome.get_log("performance"))
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
