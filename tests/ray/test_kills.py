"""Workers that are killed or stopped at random moments, and a driver that is: nothing is lost or doubled.

`make test-ray` kills a few; YANSHOU_RAY_KILLS=100 kills 100 workers, stops 10, and kills 10 drivers: a third of them
with the demo checkpoint in the continuous engine, the others with a script.
"""

import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from support.lines import LABEL_DIRS, SHIELD
from support.photos import encoded, picture
from support.stage_a_runs import run_file
from support.worker_runs import ENDED_BY_DEATHS, Process, WorkerRun, failed, lines

from yanshou.missions import load_missions
from yanshou.storage.jsonl import dump_line
from yanshou.world.synth import synthesize

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3_600)]

KILLS = int(os.environ.get("YANSHOU_RAY_KILLS", "0"))  # of workers, in all; 0: a few
DEMO_KILLS = KILLS * 3 // 10 or 2
SCRIPTED_KILLS = KILLS - DEMO_KILLS if KILLS else 4
STOPS = KILLS // 10 or 1
DRIVER_KILLS = KILLS // 10 or 2
DEMO_DRIVER_KILLS = DRIVER_KILLS * 3 // 10
TIMEOUT_S = 4  # --worker-timeout
STARTED_S = 6  # a worker of this age has most likely planned its run: before that the watchdog waits longer

POISON_PHOTOS = ("20.jpg", "33.jpg")
SCRIPTED_GROUPS, DEMO_GROUPS = (900, 40) if KILLS else (300, 12)
LONGEST_S = {"scripted": 8.0, "demo": 24.0} if KILLS else {"scripted": 3.0, "demo": 6.0}  # between two kills
DEMO = ("--engine", "continuous", "--checkpoint", "demo")
LINES, ERRORS = f"{SHIELD}_stage_a.jsonl", f"{SHIELD}_stage_a.errors.jsonl"


@dataclass(frozen=True)
class World:
    """Photos, the engine that reads them, and the lines of a run without workers."""

    name: str
    engine: tuple[str, ...]
    input_dir: Path
    tmp: Path  # of Ray: paths of its sockets have to be short
    whole: list[bytes]

    def start(self, out: Path, *more: str, poison: tuple[str, ...] = (), workers: int = 2) -> WorkerRun:
        many = ("--workers", str(workers), "--worker-timeout", str(TIMEOUT_S))
        return WorkerRun([*arguments(self.engine, self.input_dir, out), *many, *more], out, self.tmp, poison)


def arguments(engine: tuple[str, ...], input_dir: Path, out: Path) -> list[str]:
    folders = ("--input-dir", str(input_dir), "--output-dir", str(out), "--mission", SHIELD)
    return ["summarize", *folders, "--device", "cpu", *engine]


def world(name: str, engine: tuple[str, ...], base: Path, tmp: Path) -> World:
    """Runs without workers first."""
    run = WorkerRun(arguments(engine, base / "in", base / "whole"), base / "whole", tmp)
    try:
        assert run.wait() == 0, run.tail()
    finally:
        run.end()
    return World(name, engine, base / "in", tmp, lines(base / "whole" / LINES))


@pytest.fixture(scope="module")
def tmp() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def scripted_world(base: Path, tmp: Path, groups: int, delay_s: float) -> World:
    """Groups of one to five photos, named like their group: QC-7 has 7.jpg, 7.2.jpg, …"""
    rng, photo, answers = Random("scripted"), encoded(picture()), {}
    for number in range(1, groups + 1):
        folder = base / "in" / SHIELD / LABEL_DIRS["pass"] / f"QC-{number}"
        folder.mkdir(parents=True)
        for name in (f"{number}.jpg", *(f"{number}.{at}.jpg" for at in range(2, rng.randint(1, 5) + 1))):
            (folder / name).write_bytes(photo)
            answers[name] = f"标签/{name}×1"
    (base / "script.json").write_bytes(dump_line({"answers": answers, "delay_s": delay_s}))
    engine = ("--engine", "scripted", "--checkpoint", str(base / "script.json"), "--batch-size", "8")
    return world("scripted", engine, base, tmp)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory, tmp: Path) -> World:
    """Two workers answer a hundred photos per second."""
    return scripted_world(tmp_path_factory.mktemp("scripted"), tmp, SCRIPTED_GROUPS, delay_s=0.15)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, tmp: Path) -> World:
    return scripted_world(tmp_path_factory.mktemp("few"), tmp, groups=50, delay_s=0.0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, tmp: Path) -> World:
    """The demo checkpoint in the continuous engine, with drawn photos."""
    base = tmp_path_factory.mktemp("demo")
    missions = [mission for mission in load_missions() if mission.name == SHIELD]
    synthesize(base / "in", DEMO_GROUPS, seed=5, missions=missions, workers=1)
    return world("demo", (*DEMO, "--min-pixels", "16384", "--max-pixels", "65536"), base, tmp)


# ---- kills ----


class Killer:
    """Kills and stops workers at random moments, and counts what it hit."""

    def __init__(self, kills: int, stops: int, longest_s: float, seed: str) -> None:
        self.left = ["kill"] * kills + ["stop"] * stops
        self.hits: Counter[str] = Counter()
        self._longest_s, self._rng = longest_s, Random(seed)
        self._rng.shuffle(self.left)

    def haunt(self, run: WorkerRun) -> int:
        """Returns the exit status."""
        while run.running and not run.workers():
            time.sleep(0.05)
        while self.left and run.running:
            _sleep(self._rng.uniform(0.02, self._longest_s), run)
            workers = run.workers()
            if not workers or not run.running:
                continue
            if self.left[-1] == "kill":
                self._count(self._rng.choice(workers).kill())
            elif old := [worker for worker in workers if worker.age_s > STARTED_S]:
                self._stop(run, self._rng.choice(old))
        return run.wait()

    def _stop(self, run: WorkerRun, victim: Process) -> None:
        """A stopped worker has to be killed by the driver, unless the run ends without it."""
        stopped = victim.kill(signal.SIGSTOP)
        deadline = time.monotonic() + 60
        while stopped and run.running and victim.alive and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not victim.alive, f"a stopped worker lives on: {run.tail()}"
        self._count(stopped)

    def _count(self, hit: bool) -> None:
        if hit:
            self.hits[self.left.pop()] += 1


def _sleep(seconds: float, run: WorkerRun) -> None:
    deadline = time.monotonic() + seconds
    while run.running and time.monotonic() < deadline:
        time.sleep(0.01)


def check_lines(world: World, out: Path, in_order: bool) -> None:
    """All lines are there, once, as a run without workers writes them."""
    found = lines(out / LINES)
    assert len(found) == len(set(found)) == len(world.whole)
    assert (found if in_order else sorted(found)) == (world.whole if in_order else sorted(world.whole))


def check_end(run: WorkerRun, status: int) -> None:
    """A killer at random may hit a photo that is on probation, or a worker three times before its first answer."""
    assert "Traceback" not in run.tail(), run.tail()
    if status == 3:
        assert {step for _, step in failed(run.out / ERRORS)} == {"worker"}
    else:
        assert status == 0 or (status == 1 and ENDED_BY_DEATHS in run.tail()), run.tail()
    run.gone_after()


@pytest.mark.parametrize(("name", "kills", "stops"), [("scripted", SCRIPTED_KILLS, STOPS), ("demo", DEMO_KILLS, 0)])
def test_killed_and_stopped_workers_lose_and_double_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, kills: int, stops: int
) -> None:
    """A run that does not end complete is resumed, among further kills."""
    world: World = request.getfixturevalue(name)
    killer, began, ends = Killer(kills, stops, LONGEST_S[name], name), time.monotonic(), list[int]()
    while killer.left:
        out, statuses = tmp_path / f"out{len(ends)}", list[int]()
        while not statuses or statuses[-1]:
            run = world.start(out)
            try:
                statuses.append(killer.haunt(run))
                check_end(run, statuses[-1])
            finally:
                run.end()
        check_lines(world, out, in_order=3 not in statuses)
        ends += statuses
    print(
        f"\n{name}: {killer.hits['kill']} workers killed and {killer.hits['stop']} stopped in {len(ends)} runs, "
        f"{ends.count(3)} of them with innocent photos in the errors file, {ends.count(1)} ended by three deaths; "
        f"{time.monotonic() - began:.0f} s"
    )


@pytest.mark.parametrize(
    ("name", "kills"),
    [("scripted", DRIVER_KILLS - DEMO_DRIVER_KILLS), *([("demo", DEMO_DRIVER_KILLS)] if DEMO_DRIVER_KILLS else [])],
)
def test_a_killed_driver_leaves_no_worker_and_resumes_to_the_same_bytes(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, kills: int
) -> None:
    """The next run may begin while workers of the killed one still live."""
    world: World = request.getfixturevalue(name)
    rng, slowest, written = Random(f"driver {name}"), 0.0, list[int]()
    began, undisturbed = time.monotonic(), world.start(tmp_path / "undisturbed")
    try:
        assert undisturbed.wait() == 0, undisturbed.tail()
    finally:
        undisturbed.end()
    longest_s = time.monotonic() - began
    while len(written) < kills:
        out, started = tmp_path / f"out{len(written)}", list[WorkerRun]()
        try:
            while len(written) < kills and run_for(rng.uniform(0.1, longest_s), started, world, out):
                started[-1].driver.kill()
                started[-1].driver.wait()
                written.append(len(lines(out / LINES)))
                if rng.random() < 0.5:
                    slowest = max(slowest, started[-1].gone_after())
            if started[-1].driver.returncode:
                started.append(world.start(out))
            assert started[-1].wait() == 0, started[-1].tail()
            check_lines(world, out, in_order=True)
            for run in started:
                run.gone_after()
        finally:
            for run in started:
                run.end()
    print(
        f"\n{name}: {len(written)} drivers killed, after {written} of {len(world.whole)} lines; workers gone after "
        f"{slowest:.1f} s at most; {time.monotonic() - began:.0f} s"
    )


def run_for(seconds: float, started: list[WorkerRun], world: World, out: Path) -> bool:
    """Whether the run still lives after this time."""
    run = world.start(out)
    started.append(run)
    _sleep(seconds, run)
    run.workers()
    return run.running


# ---- photos that kill ----


@pytest.mark.parametrize(("workers", "photos"), [(2, 2), (1, 1), *([(2, 1), (1, 2)] if KILLS else [])])
def test_a_photo_that_kills_its_worker_fails_its_group_alone_and_is_tried_again(
    few: World, tmp_path: Path, workers: int, photos: int
) -> None:
    began, poison = time.monotonic(), POISON_PHOTOS[:photos]
    out, groups = tmp_path / "out", {f"QC-{Path(name).stem}" for name in poison}
    others = [line for line in few.whole if not any(f'"{group}"'.encode() in line for group in groups)]
    for attempt in range(2):  # the next run tries just these again
        run = few.start(out, poison=poison, workers=workers)
        try:
            assert run.wait() == 3, run.tail()
            assert lines(out / LINES) == others
            assert failed(out / ERRORS) == {(group, "worker") for group in groups}
            counts = run_file(out, SHIELD)["counts"]
            assert (counts["written"], counts["failed"]) == (0 if attempt else len(others), len(groups))
            run.gone_after()
        finally:
            run.end()
    run = few.start(out, workers=workers)
    try:
        assert run.wait() == 0, run.tail()
        check_lines(few, out, in_order=False)
    finally:
        run.end()
    print(f"\n{workers} workers, {photos} deadly photos: {time.monotonic() - began:.0f} s")
