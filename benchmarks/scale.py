"""What many workers cost the process that drives them, with scripted answers in place of a model.

    python benchmarks/scale.py driver                      # photos/s, and CPU time per photo
    python benchmarks/scale.py memory                      # of 180,000 and 1 million groups; the slope per group
    python benchmarks/scale.py start                       # seconds to the first answer, with Ray and without
    python benchmarks/scale.py death                       # what a killed worker costs

Every run is a whole `summarize` in a process of its own. No photo is decoded: the time is that of reading folders,
dealing photos to workers, assembling groups, checking and writing lines.

`driver` uses Ray itself. One and two workers are processes of their own, as in every run. For 8 and 64, two processes
hold 4 or 32 workers each: 64 processes of Python do not fit a small machine, while the driver sees 64 workers and
their calls. Workers answer as fast as they can, except in the last row, where each answers 52 photos/s, about as many
as one H100.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

from host import MISSION, watched, write_tree

from yanshou.engines import load_engine
from yanshou.engines.base import Answer
from yanshou.engines.workers.engine import WorkersEngine
from yanshou.pipeline.listener import NullListener
from yanshou.settings import EngineSettings, StageASettings, WorkerSettings
from yanshou.stage_a.summarize import prepare

LINE = "BBU设备/华为,显示完整,无需安装×1"
PROCESSES = 2  # of a crowd
H100 = 52.0  # photos/s
BATCH = 64  # photos per batch of an unpaced worker
PACED_BATCH = 8
RUNS: Sequence[tuple[int, float]] = ((0, 0.0), (1, 0.0), (2, 0.0), (8, 0.0), (64, 0.0), (64, H100))  # workers, photos/s
OWN_PROCESSES = 2  # more workers than that share processes


class Crowd:
    """A `Place` whose workers share a few processes."""

    def __init__(self, settings: EngineSettings, workers: int) -> None:
        from yanshou.engines.workers.cluster import Cluster

        self.workers, self._started = workers, 0
        self._cluster = Cluster(settings.model_copy(update={"workers": WorkerSettings(workers=PROCESSES)}))
        self._hosts = [_host(settings, 4 * workers) for _ in range(PROCESSES)]

    def start_worker(self) -> "OneOfMany":
        self._started += 1
        return OneOfMany(self._hosts[self._started % PROCESSES], self._started)

    def shortage(self) -> str:
        return ""

    def environment(self) -> dict[str, Any]:
        return self._cluster.environment()

    def close(self) -> None:
        self._cluster.close()


class OneOfMany:
    """A `WorkerHandle` of a crowd."""

    def __init__(self, host: Any, number: int) -> None:
        self._host, self._number = host, number

    def call(self, method: str, *arguments: object) -> Future[Any]:
        future: Future[Any] = self._host.call.remote(self._number, method, *arguments).future()
        return future

    def kill(self) -> None:
        raise AssertionError("nothing is killed here")


class Many:
    """Several workers in one process."""

    def __init__(self, settings: EngineSettings) -> None:
        from threading import Lock

        self._settings, self._workers, self._making = settings, dict[int, Any](), Lock()

    def call(self, number: int, method: str, *arguments: object) -> Any:
        from yanshou.engines.workers.worker import Worker

        with self._making:
            if number not in self._workers:
                self._workers[number] = Worker(self._settings)
        return getattr(self._workers[number], method)(*arguments)


def _host(settings: EngineSettings, calls: int) -> Any:
    import ray

    return ray.remote(Many).options(num_cpus=0, max_concurrency=calls).remote(settings)


# ---- one run, in a process of its own ----


class Watch(NullListener):
    """When the first answer came, and what happens when a worker is killed after `kill_after` photos."""

    def __init__(self, engine: Any, kill_after: int | None) -> None:
        self.first = self.killed = self.replaced = 0.0
        self.held = 0  # photos of the killed worker
        self._engine, self._kill_after, self._photos, self._pid = engine, kill_after, 0, 0

    def photo(self, answer: Answer) -> None:
        self._photos += 1
        self.first = self.first or time.time()
        if self._photos == self._kill_after:
            self._kill()
        elif self.killed and not self.replaced:
            seats = self._engine._crew.seats  # private: only to see when the new worker answers
            if any(seat.facts and seat.facts.pid not in self._pids and seat.reply.answers for seat in seats):
                self.replaced = time.time()

    def _kill(self) -> None:
        seats = self._engine._crew.seats
        self._pids = {seat.facts.pid for seat in seats}
        self.held, self.killed = seats[0].window, time.time()
        os.kill(seats[0].facts.pid, signal.SIGKILL)


def run(given: argparse.Namespace) -> dict[str, Any]:
    workers, kill_after = given.workers or None, given.kill_after
    settings = EngineSettings(
        engine="scripted", checkpoint=given.script, device="cpu", batch_size=PACED_BATCH if given.paced else BATCH,
        workers=WorkerSettings(workers=workers),
    )  # fmt: skip
    engine: Any
    if given.workers > OWN_PROCESSES:
        engine = WorkersEngine(settings, Crowd(settings, given.workers))
    else:
        engine = load_engine(settings)
    watch = Watch(engine, kill_after)
    stage = prepare(
        StageASettings(
            input_dir=given.input_dir, output_dir=given.output_dir, missions=(MISSION,), engine=settings,
        ),
        engine, watch,
    )  # fmt: skip
    before = time.process_time()
    (result,) = stage.run()
    own = time.process_time() - before
    assert (result.status, result.error) == (0, ""), result
    if workers:
        engine.close()
    return {
        "photos": result.photos, "seconds": result.seconds, "photos_per_s": result.photos / result.seconds,
        "driver_cpu_us": 1e6 * own / result.photos, "first_answer": watch.first, "held": watch.held,
        "replaced_s": watch.replaced - watch.killed,
    }  # fmt: skip


def child(given: argparse.Namespace, workers: int, rate: float = 0.0, kill_after: int | None = None) -> dict[str, Any]:
    """One run in its own process. `rate`: photos/s of each worker, 0 for as many as it can."""
    script = given.folder / "script.json"
    delay = PACED_BATCH / rate if rate else 0.0
    script.write_text(json.dumps({"answers": {"*": LINE}, "decode": False, "delay_s": delay}), encoding="utf-8")
    job = {
        "workers": workers, "script": str(script), "paced": rate > 0, "kill_after": kill_after,
        "input_dir": str(given.folder / "in"), "output_dir": str(given.folder / "out"),
    }  # fmt: skip
    shutil.rmtree(given.folder / "out", ignore_errors=True)
    result_file = given.folder / "result.json"
    began = time.time()
    subprocess.run([sys.executable, __file__, "run", json.dumps(job), str(result_file)], check=True)
    result: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    lines = (given.folder / "out" / f"{MISSION}_stage_a.jsonl").read_bytes().count(b"\n")
    assert lines == given.groups[0], lines
    return {"workers": workers, "rate": rate, **result, "start_s": result["first_answer"] - began}


# ---- the measurements ----


def driver(given: argparse.Namespace) -> list[dict[str, Any]]:
    write_tree(given.folder / "in", given.groups[0], given.photos)
    results = []
    for workers, rate in RUNS:
        result = child(given, workers, rate)
        what = f"{workers} workers" if workers else "without workers"
        pace = f" of {rate:g} photos/s" if rate else ""
        print(
            f"{what + pace:<28} {result['photos_per_s']:>8,.0f} photos/s, driver {result['driver_cpu_us']:.0f} µs of "
            f"CPU per photo, first answer after {result['start_s']:.1f} s", flush=True,
        )  # fmt: skip
        results.append(result)
    return results


def memory(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak resident memory of a run and of the same run with nothing left to do, by number of groups."""
    script, results = given.folder / "script.json", []
    script.write_text(json.dumps({"answers": {"*": LINE}, "decode": False}), encoding="utf-8")
    for groups in given.groups:
        shutil.rmtree(given.folder / "in", ignore_errors=True)
        shutil.rmtree(given.folder / "out", ignore_errors=True)
        write_tree(given.folder / "in", groups, given.photos)
        command = (
            "-m", "yanshou.cli", "summarize", "--engine", "scripted", "--checkpoint", script, "--quiet",
            "--mission", MISSION, "--input-dir", given.folder / "in", "--output-dir", given.folder / "out",
            "--batch-size", str(BATCH),
        )  # fmt: skip
        peaks = {name: watched(*command)["largest_mib"] for name in ("whole", "again")}
        print(f"{groups:>9,} groups: peak {peaks['whole']:,.0f} MiB, again {peaks['again']:,.0f} MiB", flush=True)
        results.append({"groups": groups, **peaks})
    for less, more in pairwise(results):
        for name in ("whole", "again"):
            slope = (more[name] - less[name]) * 2**20 / (more["groups"] - less["groups"])
            at_10_million = (more[name] + slope * (10_000_000 - more["groups"]) / 2**20) / 1024
            print(f"{name}: {slope:.0f} bytes per group; 10 million groups {at_10_million:.1f} GiB", flush=True)
    return results


def start(given: argparse.Namespace) -> list[dict[str, Any]]:
    write_tree(given.folder / "in", given.groups[0], given.photos)
    results = [child(given, workers) for workers in (0, 1, 2)]
    for result in results:
        print(f"{result['workers']} workers: first answer after {result['start_s']:.1f} s", flush=True)
    return results


def death(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Two workers of 52 photos/s each, without and with the end of one of them at a third of the photos."""
    write_tree(given.folder / "in", given.groups[0], given.photos)
    third = given.groups[0] * given.photos // 3
    whole, killed = child(given, 2, H100), child(given, 2, H100, third)
    lost = killed["seconds"] - whole["seconds"]
    print(
        f"{whole['seconds']:.1f} s undisturbed, {killed['seconds']:.1f} s with a death: {lost:.1f} s more. The killed "
        f"worker held at most {killed['held']} photos; the fresh one answered {killed['replaced_s']:.1f} s later",
        flush=True,
    )
    return [whole, killed]


MEASUREMENTS = {"driver": driver, "memory": memory, "start": start, "death": death}
GROUPS = {"driver": [20_000], "memory": [180_000, 1_000_000], "start": [1_000], "death": [1_500]}


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description="What many workers cost the process that drives them.")
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--groups", type=int, nargs="+", help="numbers of groups; all but memory use the first")
    parser.add_argument("--photos", type=int, default=3, help="photos per group")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-scale")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args(arguments)
    given.groups = given.groups or GROUPS[given.what]
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    results = MEASUREMENTS[given.what](given)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    shutil.rmtree(given.folder)
    return results


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        job = argparse.Namespace(**json.loads(sys.argv[2]))
        Path(sys.argv[3]).write_text(json.dumps(run(job)), encoding="utf-8")
    else:
        main()
