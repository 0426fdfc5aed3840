"""What `yanshou review` takes at full size: import, opening of the page, answers, the next group in a browser.

    python benchmarks/review.py --json review.json             # 11,000 groups, 37,000 photos of 3000 × 4000 pixels
    python benchmarks/review.py --without-browser

The command itself imports and serves, in a process of its own on this machine; times are those of its clients, so
client, browser and server share the cores. In the browser they run from the key Enter until the next group with all
its photos is painted: the answer's way to the disk is part of them.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from review_world import PICTURES, write_world
from workload import PHONE

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.chromium import Browser, chromium
from support.review_client import Habits, Journal, ReviewClient

START_S = 600
ENTER = "\ue007"
STEADY = Habits(undo=0, renew=0, leave=0, change=0, photos=0)
LOOKING = Habits(undo=0, renew=0, leave=0, change=0, photos=1)
LINK = re.compile(rb"http://127\.0\.0\.1:(\d+)/start\?key=(\S+)")
# Times from Enter to the painted group with all photos, and from the start of the page to the first group.
WATCH = """
window.nexts = []; window.opened = null;
let entered = null;
addEventListener("keydown", (event) => { if (event.key === "Enter") entered = event.timeStamp; }, true);
const whole = () => {
  const frames = [...document.querySelectorAll("#strip .frame")];
  return frames.length && frames.every((frame) => frame.querySelector("img")?.complete);
};
const painted = (end) => {
  window.opened ??= end;
  if (entered !== null) window.nexts.push(end - entered);
  entered = null;
};
const await_photos = () => {
  if (whole()) setTimeout(() => painted(performance.now())); // after the frame that has them
  else requestAnimationFrame(await_photos);
};
new PerformanceObserver((list) => {
  const entry = list.getEntriesByName("group shown").at(-1);
  if (entry && whole()) painted(entry.startTime + entry.duration);
  else if (entry) requestAnimationFrame(await_photos);
}).observe({ type: "measure", buffered: true });
"""


@contextmanager
def serving(store: Path, *files: Path) -> Iterator[dict[str, Any]]:
    """The command, until it has printed its links: the seconds that took, the port, and the reviewers' key."""
    command = [sys.executable, "-u", "-m", "yanshou.cli", "review", "--store", store, "--port", "0", *files]
    started = time.monotonic()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        said = b""
        while not (link := LINK.search(said)):
            line = process.stdout.readline()
            assert line, said.decode()
            said += line
        seconds = round(time.monotonic() - started, 2)
        try:
            yield {"seconds": seconds, "port": int(link[1]), "key": link[2].decode()}
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def answer_at_once(
    server: dict[str, Any], clients: int, answers: int, every_s: float, habits: Habits
) -> dict[str, Any]:
    """Milliseconds of an answer for clients that answer at the same time. `every_s`: seconds of a group; 0: at once."""
    journal, began = Journal(), threading.Barrier(clients)
    readers = [
        ReviewClient(server["port"], server["key"], [f"reader {n} {every_s:g}"], journal, Random(n), habits)
        for n in range(clients)
    ]

    def work(client: ReviewClient) -> None:
        client.sign_in()
        began.wait()
        time.sleep(Random(client.reader).uniform(0, every_s))
        for _ in range(answers):
            due = time.monotonic() + every_s
            assert client.step()
            time.sleep(max(0.0, due - time.monotonic()))
        client.leave()
        client.connection.close()

    threads = [threading.Thread(target=work, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not journal.violations
    return spread([1000 * took for reader in readers for took in reader.latencies])


def sync_times(folder: Path) -> dict[str, Any]:
    """Milliseconds until 4 KiB are on the disk. An answer waits for one such write, so it can never be faster."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(200):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(1000 * (time.perf_counter() - began))
    return spread(times)


def spread(times: Sequence[float]) -> dict[str, Any]:
    """Median, 99th percentile and largest of times in milliseconds."""
    ordered = sorted(times)
    ninety_ninth = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"n": len(ordered), "median": round(median(ordered), 1), "p99": round(ninety_ninth, 1),
            "largest": round(ordered[-1], 1)}  # fmt: skip


# ---- the browser ----


def open_page(browser: Browser, server: dict[str, Any], openings: int) -> dict[str, Any]:
    """Signs in and takes the first queue; then milliseconds from a reload until the first group's photos are there."""
    chrome = browser.chrome
    chrome.get(f"http://127.0.0.1:{server['port']}/start?key={server['key']}")
    browser.until(lambda: shown(browser) == "name", "the name")
    browser.press("L", "i", ENTER)
    browser.until(lambda: shown(browser) == "choice", "the queue")
    browser.press(ENTER)
    browser.until(lambda: shown(browser) == "work", "a group")
    times = []
    for _ in range(openings):
        chrome.refresh()
        browser.run(WATCH)
        browser.until(lambda: browser.run("return window.opened"), "the first group")
        times.append(float(browser.run("return window.opened")))
    return spread(times)


def read_groups(browser: Browser, groups: int, every_s: float) -> dict[str, Any]:
    """Milliseconds from Enter until the next group is painted with its photos, for a reader of this pace."""
    browser.run("window.nexts.length = 0")
    for number in range(groups):
        time.sleep(every_s)
        browser.press("j", ENTER)
        browser.until(lambda done=number + 1: browser.run("return window.nexts.length") >= done, "the next group")
    return spread(list(map(float, browser.run("return window.nexts"))))


def shown(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('main > section:not([hidden])')?.id"))


# ---- all of it ----


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="What `yanshou review` takes at full size.")
    parser.add_argument("--groups", type=int, default=11_000)
    parser.add_argument("--photos", type=int, default=37_000, help="of all groups")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="different photos; the others are links")
    parser.add_argument("--small", action="store_true", help="photos of 934 × 1920 pixels")
    parser.add_argument("--answers", type=int, default=250, help="of each of 4 clients")
    parser.add_argument("--read", type=int, default=30, help="groups read in the browser, at each pace")
    parser.add_argument("--every", type=float, default=3, help="seconds per group of a fast reader")
    parser.add_argument("--without-browser", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-review")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args(arguments)
    results = {}
    for name, result in measure(given, _written(given)):
        print(f"{name:<48} {json.dumps(result)}", flush=True)
        results[name] = result
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


def _written(given: argparse.Namespace) -> Path:
    """The verdicts of a new world. The pictures of an earlier one are kept."""
    shutil.rmtree(given.folder / "in", ignore_errors=True)
    for path in given.folder.glob("review.sqlite*"):
        path.unlink()
    given.folder.mkdir(parents=True, exist_ok=True)
    sizes = {"sizes": PHONE} if given.small else {}
    return write_world(given.folder, given.groups, given.photos, given.pictures, **sizes)


def measure(given: argparse.Namespace, verdicts: Path) -> Iterator[tuple[str, Any]]:
    """Each figure with its name, as soon as it is known."""
    store, pace = given.folder / "review.sqlite", f"every {given.every:g} s"
    with serving(store, verdicts) as server:
        yield "import and start, s", server["seconds"]
        yield "4 KiB to the disk of the store (fsync), ms", sync_times(given.folder)
        yield "answers, 4 clients without a pause, ms", answer_at_once(server, 4, given.answers, 0, STEADY)
        paced = answer_at_once(server, 4, max(1, given.answers // 10), given.every, LOOKING)
        yield f"answers, 4 clients {pace}, with photos, ms", paced
    with serving(store) as server:
        yield "start without files, s", server["seconds"]
        if not given.without_browser:
            yield from in_browser(given, server)
    yield "store, MiB", round(store.stat().st_size / 2**20, 1)
    yield "cores", os.cpu_count()


def in_browser(given: argparse.Namespace, server: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as browser:
        browser.size(1440, 900)
        yield "page with the first group's photos, ms", open_page(browser, server, 5)
        yield f"next group, a reader every {given.every:g} s, ms", read_groups(browser, given.read, given.every)
        yield "next group, a reader without a pause, ms", read_groups(browser, given.read, 0)


if __name__ == "__main__":
    main()
