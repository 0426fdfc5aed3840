"""One mission on one GPU and on two: how much faster, and whether the lines are the same.

    python benchmarks/make_checkpoint.py /tmp/4b
    python benchmarks/two_gpus.py speed /tmp/4b       # 5,000 photos of workload.py
    python benchmarks/two_gpus.py ceiling /tmp/4b     # the same photos, and half of them, on one GPU
    python benchmarks/two_gpus.py lines demo          # about 2,000 drawn photos; a third run loses a worker

Each run is a whole `summarize` in a process of its own: without workers, then with `--workers 2`. Its checkpoint is
loaded and 512 photos are answered before the clock starts, which runs from the first request to the last line. The
tail is the time from the last request that the engine reads to the last answer. A run with workers also prints what
each of them did, with times from the same start. `speed` prints the ratio; exit status 1 if `lines` finds a line that
differs, timestamps aside. `ceiling` prints the ratio that two GPUs cannot pass: filling and draining the slots takes a
GPU as long for half of the photos as for all.

Without GPUs, to see that it runs: `two_gpus.py speed /tmp/tiny --device cpu --photos 12 --tokens 6 --max-pixels 65536`.
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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forced_length_workers import ForcedLengthSettings
from workload import LONGEST, SYSTEM, USER, group_sizes, write_photos

from yanshou.engines import Engine, load_engine
from yanshou.engines.base import Answer, Request
from yanshou.engines.workers.engine import WorkersEngine
from yanshou.engines.workers.messages import Reply
from yanshou.engines.workers.seat import Exchanged
from yanshou.pipeline.listener import NullListener
from yanshou.settings import (
    EngineSettings,
    PhotoSettings,
    PromptSettings,
    SamplingSettings,
    StageASettings,
    WorkerSettings,
)
from yanshou.stage_a.summarize import prepare

MISSION, LABEL = "挡风板安装检查", "审核通过"
WARM_UP = 512  # photos: each worker runs full prefill batches and fills its slots
WARM_UP_GROUPS = 20  # of `lines`, whose speeds say little
PHOTOS_PER_GROUP = 3  # of synth, at least
KILL_AT = 3  # a worker is killed after a third of the photos
CAPACITY = ("slots", "slot_len", "prefill_batch_tokens", "workers", "device", "ray")


@dataclass
class Share:
    """What one worker did in a run."""

    waited_before_s: float  # for photos of the warm-up
    photos: int = 0
    first: float = 0.0  # when its first and its last answers came
    last: float = 0.0
    waited_s: float = 0.0

    def add(self, reply: Reply) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.photos += len(reply.answers)
        if reply.data_wait_s < self.waited_before_s:  # another worker took its place
            self.waited_before_s = 0.0
        self.waited_s = reply.data_wait_s - self.waited_before_s

    def since(self, began: float) -> dict[str, float]:
        first, last = self.first - began, self.last - began
        return {"photos": self.photos, "first_s": first, "last_s": last, "waited_s": self.waited_s}


class Watch(NullListener):
    """When each answer came, and, at a third of the photos, the end of a worker."""

    def __init__(self, engine: Engine, kill_after: int | None) -> None:
        self.times: list[float] = []
        self.read_all = 0.0  # when the engine read its last request
        self.shares: dict[int, Share] = {}  # by worker
        self._engine, self._kill_after = engine, kill_after
        self._generate = engine.generate
        vars(engine)["generate"] = self.generate
        if isinstance(engine, WorkersEngine):
            self.shares = {seat.number: Share(seat.reply.data_wait_s) for seat in self._crew.seats}
            self._wait = self._crew.wait
            vars(self._crew)["wait"] = self.wait

    @property
    def _crew(self) -> Any:
        """Private: only to see which worker answered, and to kill one."""
        return vars(self._engine)["_crew"]

    def wait(self) -> Any:
        happened = self._wait()
        if isinstance(happened, Exchanged) and happened.reply.answers:
            self.shares.setdefault(happened.seat.number, Share(0.0)).add(happened.reply)
        return happened

    def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
        def noted() -> Iterator[Request]:
            yield from requests
            self.read_all = time.monotonic()

        yield from self._generate(noted())

    def photo(self, answer: Answer) -> None:
        self.times.append(time.monotonic())
        if len(self.times) == self._kill_after:
            os.kill(self._crew.seats[0].facts.pid, signal.SIGKILL)


# ---- one run, in a process of its own ----


def run(given: argparse.Namespace) -> dict[str, Any]:
    """A whole run with the model loaded and warm."""
    started = time.monotonic()
    engine = load_engine(engine_settings(given))
    stage(given, engine, "warm-up").run()
    start = time.monotonic() - started
    watch = Watch(engine, given.kill_after)
    (result,) = stage(given, engine, given.work, watch).run()
    assert (result.status, result.error) == (0, ""), result
    environment = engine.environment()
    if isinstance(engine, WorkersEngine):
        engine.close()
    thirds = [watch.times[len(watch.times) * part // 3 - 1] for part in (1, 2, 3)]
    began = thirds[2] - result.seconds
    photos = len(watch.times)
    shares = [share.since(began) for _, share in sorted(watch.shares.items())]
    return {
        "photos": photos, "seconds": result.seconds, "images_per_s": photos / result.seconds, "start_s": start,
        "tail_s": watch.times[-1] - watch.read_all, "waiting": result.waited, "workers_did": shares,
        "thirds": [photos / 3 / (end - begin) for begin, end in zip([began, *thirds], thirds, strict=False)],
        **{name: value for name, value in environment.items() if name in CAPACITY},
    }  # fmt: skip


def engine_settings(given: argparse.Namespace) -> EngineSettings:
    kind = ForcedLengthSettings if given.forced else EngineSettings
    options: dict[str, Any] = {} if given.forced else {"engine": "continuous"}
    sampling = SamplingSettings(max_new_tokens=given.tokens)
    return kind(
        checkpoint=given.checkpoint, device=given.device, photo=PhotoSettings(max_pixels=given.max_pixels),
        sampling=sampling, workers=WorkerSettings(workers=given.workers), **options,
    )  # fmt: skip


def stage(given: argparse.Namespace, engine: Engine, name: str, listener: NullListener | None = None) -> Any:
    folder = given.folder
    prompts = PromptSettings()
    if given.forced:
        prompts = PromptSettings(
            system_prompt=folder / "system.txt", user_prompt=folder / "user.txt", mission_focus=False
        )
    settings = StageASettings(
        input_dir=folder / name, output_dir=given.output_dir / name, missions=(MISSION,), prompts=prompts,
        engine=engine_settings(given),
    )  # fmt: skip
    return prepare(settings, engine, listener)


# ---- the runs ----


def child(
    given: argparse.Namespace, name: str, workers: int | None, kill_after: int | None = None, work: str = "in"
) -> dict[str, Any]:
    """One run over the folder `work` in its own process, whose GPU memory is free again when it ends."""
    output_dir = given.folder / f"out {name}"
    shutil.rmtree(output_dir, ignore_errors=True)
    options = {"workers": workers, "kill_after": kill_after, "forced": given.what != "lines", "work": work}
    job = {**vars(given), **options, "folder": str(given.folder), "output_dir": str(output_dir), "json": None}
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        job_file, result_file = Path(folder) / "job.json", Path(folder) / "result.json"
        job_file.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, str(Path(__file__)), "run", str(job_file), str(result_file)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path})
        result: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    print(f"{name:<24}", described(result), flush=True)
    for number, share in enumerate(result["workers_did"]):
        print(
            f"  worker {number}: {share['photos']} photos, first answers after {share['first_s']:.2f} s, last after "
            f"{share['last_s']:.2f} s, waited for photos {share['waited_s']:.2f} s", flush=True,
        )  # fmt: skip
    return {"name": name, **result}


def described(result: dict[str, Any]) -> str:
    thirds = ", ".join(f"{speed:.2f}" for speed in result["thirds"])
    capacity = ", ".join(f"{name} {result[name]}" for name in CAPACITY if name in result)
    return (
        f"{result['images_per_s']:.2f} images/s ({thirds} by thirds), {result['photos']} photos in "
        f"{result['seconds']:.1f} s, tail {result['tail_s']:.2f} s, waiting {result['waiting']:.1%}, start "
        f"{result['start_s']:.1f} s; {capacity}"
    )


def write_work(given: argparse.Namespace) -> None:
    """Photos of the workload, links to at most `--files` of them, and its prompt."""
    given.folder.mkdir(parents=True, exist_ok=True)
    files = write_photos(given.folder / "photos", min(given.photos, given.files))
    for name, photos in (("in", given.photos), ("half", given.photos // 2), ("warm-up", min(given.photos, WARM_UP))):
        link_groups(given.folder / name, files, photos)
    (given.folder / "system.txt").write_text(SYSTEM, encoding="utf-8")
    (given.folder / "user.txt").write_text(USER, encoding="utf-8")


def speed(given: argparse.Namespace) -> bool:
    """Answers of given lengths."""
    write_work(given)
    results = [child(given, "one GPU", None), child(given, "two GPUs", 2)]
    one, two = (result["images_per_s"] for result in results)
    same = lines(given, "one GPU") == lines(given, "two GPUs")
    print(f"ratio {two / one:.3f}; the lines {'agree' if same else 'DIFFER'}", flush=True)
    report(given, results, ratio=two / one)
    return same


def ceiling(given: argparse.Namespace) -> bool:
    """How much faster one GPU is through with half of the photos."""
    write_work(given)
    results = [child(given, "one GPU", None), child(given, "one GPU, half", None, work="half")]
    whole, half = (result["seconds"] for result in results)
    print(f"two GPUs can be {whole / half:.3f} times as fast as one, at most", flush=True)
    report(given, results, ceiling=whole / half)
    return True


def link_groups(root: Path, files: Sequence[Path], photos: int) -> None:
    """Groups of links; a link's name is the number of its photo."""
    shutil.rmtree(root, ignore_errors=True)
    number = 0
    for group, size in enumerate(group_sizes(photos)):
        folder = root / MISSION / LABEL / f"QC-20260101-{group:07}"
        folder.mkdir(parents=True)
        for _ in range(size):
            (folder / f"{number:05}.jpeg").symlink_to(files[number % len(files)])
            number += 1


def compare_lines(given: argparse.Namespace) -> bool:
    """The same lines from one GPU, from two, and from two of whose workers one is killed."""
    from yanshou.missions import load_missions
    from yanshou.world.synth import synthesize

    shutil.rmtree(given.folder, ignore_errors=True)
    missions = [load_missions(()).get(MISSION)]
    groups = -(-given.photos // PHOTOS_PER_GROUP)
    for name, number in (("in", groups), ("warm-up", min(groups, WARM_UP_GROUPS))):
        synthesize(given.folder / name, number, 0, missions)
    photos = sum(1 for _ in (given.folder / "in").rglob("*.jpeg"))
    results = [
        child(given, "one GPU", None), child(given, "two GPUs", 2),
        child(given, "two GPUs, one killed", 2, photos // KILL_AT),
    ]  # fmt: skip
    expected = lines(given, results[0]["name"])
    same = True
    for result in results[1:]:
        found = lines(given, result["name"])
        differing = sum(one != two for one, two in zip(expected, found, strict=True))
        print(f"{result['name']}: {differing} of {len(expected)} lines differ from those of one GPU", flush=True)
        same = same and not differing
    report(given, results, same=same)
    return same


def lines(given: argparse.Namespace, name: str) -> list[str]:
    """The lines of a run, without their timestamps."""
    written = (given.folder / f"out {name}" / "in" / f"{MISSION}_stage_a.jsonl").read_text(encoding="utf-8")
    return [line.partition('"timestamp":')[0] for line in written.splitlines()]


def report(given: argparse.Namespace, runs: Sequence[dict[str, Any]], **result: Any) -> None:
    if given.json:
        given.json.write_text(json.dumps({"runs": runs, **result}, ensure_ascii=False, indent=1), encoding="utf-8")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One mission on one GPU and on two.")
    parser.add_argument("what", choices=("speed", "ceiling", "lines"))
    parser.add_argument("checkpoint", help="a checkpoint folder, with or without weights; demo for lines")
    parser.add_argument("--photos", type=int, help="default: 5,000; about 2,000 for lines")
    parser.add_argument("--files", type=int, default=1_000, help="most photo files; others are links to them")
    parser.add_argument("--tokens", type=int, default=LONGEST, help="most tokens per answer")
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-two-gpus")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args(arguments)
    given.folder = given.folder / given.what
    given.photos = given.photos or (2_000 if given.what == "lines" else 5_000)
    return given


def main(arguments: Sequence[str] | None = None) -> bool:
    given = parsed(arguments)
    return {"speed": speed, "ceiling": ceiling, "lines": compare_lines}[given.what](given)


def main_of_child(job: Path, result: Path) -> None:
    given = argparse.Namespace(**json.loads(job.read_text(encoding="utf-8")))
    given.folder, given.output_dir = Path(given.folder), Path(given.output_dir)
    result.write_text(json.dumps(run(given)), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        main_of_child(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(not main())
