"""Images per second of the workload through a server, from JPEG files on disk to texts.

    vllm serve /tmp/4b --load-format dummy --served-model-name 4b …     # docs/endpoints.md has all options
    python benchmarks/serve_speed.py http://127.0.0.1:8000/v1 4b --concurrency 64 --concurrency 256

The endpoint engine asks, so photos are decoded, resized and encoded here, as in a run. Each answer has the length given
by the workload, as in throughput.py: the server must know vLLM's field `ignore_eos`. Each concurrency is measured
`--repeats` times, after a warm-up with other photos. Exit status 1 if a photo has no answer or one of another length.
Does not start the server, and does not empty its caches: switch them off, because in practice no photo comes twice.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from workload import LONGEST, PROMPT, answer_lengths, write_photos

from yanshou.engines import Completion, Request
from yanshou.engines.base import RunPlan
from yanshou.engines.endpoint.asker import Asker
from yanshou.engines.endpoint.engine import EndpointEngine, Prepared
from yanshou.settings import EndpointSettings, EngineSettings, PhotoSettings

WARM_PHOTOS, WARM_TOKENS = 64, 32


class ForcedLengthEndpoint(EndpointEngine):
    """The server gives every answer the length given for its request."""

    lengths: Sequence[int] = ()  # tokens of each answer, by request id

    def _prepare(self, asker: Asker, request: Request) -> Prepared:  # private: only to add these two fields
        prepared = super()._prepare(asker, request)
        return replace(prepared, fields=prepared.fields | {"max_tokens": self.lengths[request.id], "ignore_eos": True})


@dataclass(frozen=True)
class Turn:
    """The photos, sent once."""

    concurrency: int
    photos: int
    seconds: float
    tokens: int  # that the server says it wrote
    wanted_tokens: int
    failures: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.failures and self.tokens == self.wanted_tokens

    def __str__(self) -> str:
        return (
            f"{self.concurrency:>4} at once: {self.photos / self.seconds:.2f} images/s, {self.photos} photos in "
            f"{self.seconds:.1f} s, {self.tokens} of {self.wanted_tokens} tokens, {len(self.failures)} failed"
            f"{''.join(f'; {cause}' for cause in self.failures[:1])}"
        )


def measure(engine: ForcedLengthEndpoint, photos: Sequence[Path], lengths: Sequence[int]) -> Turn:
    engine.lengths = lengths
    started = time.monotonic()
    answers = list(engine.generate(Request(number, PROMPT, photo) for number, photo in enumerate(photos)))
    seconds = time.monotonic() - started
    tokens = sum(answer.tokens for answer in answers if isinstance(answer, Completion))
    failures = tuple(str(answer.error) for answer in answers if not isinstance(answer, Completion))
    return Turn(engine.concurrency, len(photos), seconds, tokens, sum(lengths), failures)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Images per second of the workload through a server.")
    parser.add_argument("endpoint", help="the server's base URL")
    parser.add_argument("model", help="the model's name on that server")
    parser.add_argument("--concurrency", type=int, action="append", help="requests at once; repeatable (default 64)")
    parser.add_argument("--photos", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=LONGEST, help="most tokens per answer")
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels, help="pixel budget")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    parser.add_argument("--json", type=Path, help="file for the results, written after every turn")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> list[Turn]:
    given = parsed(arguments)
    paths = write_photos(given.folder, given.photos + min(given.photos, WARM_PHOTOS))
    photos, warm = paths[: given.photos], paths[given.photos :]
    lengths = [min(length, given.tokens) for length in answer_lengths(given.photos)]
    report: dict[str, Any] = {"server": None, "turns": []}
    turns = []
    for concurrency in given.concurrency or [64]:
        server = EndpointSettings(endpoint=given.endpoint, model=given.model, concurrency=concurrency)
        engine = ForcedLengthEndpoint(EngineSettings(server=server, photo=PhotoSettings(max_pixels=given.max_pixels)))
        engine.prepare_run(RunPlan(PROMPT, True, ()))
        if not report["server"]:
            report["server"] = engine.environment()
            print(json.dumps(report["server"], ensure_ascii=False), flush=True)
        measure(engine, warm, [min(WARM_TOKENS, given.tokens)] * len(warm))
        for _ in range(given.repeats):
            turns.append(measure(engine, photos, lengths))
            print(turns[-1], flush=True)
            report["turns"].append(asdict(turns[-1]))
            if given.json:
                given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return turns


if __name__ == "__main__":
    sys.exit(not all(turn.complete for turn in main()))
