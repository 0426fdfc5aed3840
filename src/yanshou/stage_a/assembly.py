"""Groups through an engine: photos go out one by one, answers come back in any order, groups come out in input order.

    groups   G1(a, b)  G2(c)  G3(d, e)
    requests a b c d e …                      lazily: a group's photos are listed when the engine asks for them
    answers  c a e d b                        whatever is finished
    outcomes G1 G2 G3                         each when its last photo is in and every group before it is out

An outcome is a checked record or the faults that keep the group from being written, one for every photo that fails.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from yanshou.engines.base import Engine, Failure, Request, closing_answers
from yanshou.errors import GenerationError, GroupError
from yanshou.inputs.discovery import Group
from yanshou.pipeline.outcome import TRUNCATED, Answer, AnswerCallback, Outcome, repetition_error
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import GroupKey, StageARecord, image_key, now
from yanshou.stage_a.clean import clean_text


@dataclass(slots=True)
class _Open:
    """A group on its way: what is asked and what is answered."""

    key: GroupKey
    photos: list[Path] = field(default_factory=list)
    texts: dict[int, tuple[str, str]] = field(default_factory=dict)  # photo's index → raw, clean
    errors: dict[int | None, GroupError] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return None in self.errors or len(self.texts) + len(self.errors) == len(self.photos)

    def outcome(self) -> Outcome[StageARecord]:
        if not self.errors:
            try:
                return Outcome(self.key, self._record())
            except GroupError as error:
                self.errors[None] = error
        errors = sorted(self.errors.items(), key=lambda item: -1 if item[0] is None else item[0])
        return Outcome(self.key, None, tuple((None if at is None else self.photos[at], error) for at, error in errors))

    def _record(self) -> StageARecord:
        texts = [self.texts[at] for at in range(len(self.photos))]
        return StageARecord(
            group_id=self.key.group_id,
            mission=self.key.mission,
            label=self.key.label,
            images=[str(photo.absolute()) for photo in self.photos],
            per_image={image_key(number): clean for number, (_, clean) in enumerate(texts, 1)},
            raw_texts=[raw for raw, _ in texts],
            clean_texts=[clean for _, clean in texts],
            timestamp=now(),
        )


class GroupAssembler:
    """The groups between an engine and its caller. One `run` a group list."""

    def __init__(
        self, engine: Engine, prompt: Prompt, allow_truncated: bool = False, heard: AnswerCallback = lambda _: None
    ) -> None:
        self._engine, self._prompt, self._allow_truncated, self._heard = engine, prompt, allow_truncated, heard
        self._open: deque[_Open] = deque()
        self._asked: dict[int, tuple[_Open, int]] = {}  # request id → group, index of the photo

    def run(self, groups: Iterable[Group]) -> Iterator[Outcome[StageARecord]]:
        """One outcome a group, in input order. Groups that a stopped engine left unanswered have none."""
        with closing_answers(self._engine, self._requests(groups)) as answers:
            for answer in answers:
                self._take(answer)
                self._heard(answer)
                yield from self._finished()
        yield from self._finished()

    def _requests(self, groups: Iterable[Group]) -> Iterator[Request]:
        number = 0
        for group in groups:
            opened = _Open(group.key)
            self._open.append(opened)
            try:
                opened.photos = group.photos()
            except GroupError as error:
                opened.errors[None] = error
                continue
            for at, photo in enumerate(opened.photos):
                self._asked[number] = (opened, at)
                yield Request(number, self._prompt, photo, _sampling_key(group.key, photo))
                number += 1

    def _take(self, answer: Answer) -> None:
        group, at = self._asked.pop(answer.id)
        try:
            group.texts[at] = read(answer, self._allow_truncated)
        except GroupError as error:
            group.errors[at] = error

    def _finished(self) -> Iterator[Outcome[StageARecord]]:
        while self._open and self._open[0].complete:
            yield self._open.popleft().outcome()


def read(answer: Answer, allow_truncated: bool = False) -> tuple[str, str]:
    """Raw and clean text of one answer. Raises the GroupError that its group fails with."""
    if isinstance(answer, Failure):
        raise answer.error
    if answer.finish_reason == "length" and not allow_truncated:
        ending = answer.text[-40:]
        raise GenerationError(f"the answer was cut off after {answer.tokens} tokens: …{ending!r}", TRUNCATED)
    if answer.finish_reason == "repetition":
        raise repetition_error(answer)
    return answer.text, clean_text(answer.text)


def _sampling_key(key: GroupKey, photo: Path) -> str:
    return "/".join((key.mission, key.label or "", key.group_id, photo.name))
