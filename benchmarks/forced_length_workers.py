"""The continuous engine with answers of given lengths, in this process or in workers.

Unpickling ForcedLengthSettings imports this module, which makes the engine known. So a worker finds it without
an option of its own. Its answers hold a valid line in place of what random weights write: a whole run can be timed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from forced_length_engines import ForcedLengthContinuous
from workload import LONGEST, answer_lengths

from yanshou.engines import ENGINES, Completion, Failure, Request
from yanshou.settings import EngineSettings, SamplingSettings

MOST_PHOTOS = 10_000
LINE = "无关图片×1<|im_end|>"
FORCED = "forced"

ENGINES[FORCED] = f"{__name__}:ForcedLengthByPhoto"


class ForcedLengthSettings(EngineSettings):
    """Settings of the engine below. `tokens`: the most per answer."""

    engine: str = FORCED
    sampling: SamplingSettings = SamplingSettings(max_new_tokens=LONGEST)


class ForcedLengthByPhoto(ForcedLengthContinuous):
    """Each answer has the length that the workload gives the photo of that number: 00017.jpeg is number 17."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        most = settings.sampling.max_new_tokens
        self.lengths = [min(length, most) for length in answer_lengths(MOST_PHOTOS)]

    def max_new_tokens(self, request: Request) -> int:
        assert isinstance(request.photo, Path)
        return int(self.lengths[int(request.photo.stem)])

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        for answer in super().generate(requests):
            assert isinstance(answer, Completion), answer
            yield replace(answer, text=LINE, finish_reason="stop")

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "engine": FORCED}
