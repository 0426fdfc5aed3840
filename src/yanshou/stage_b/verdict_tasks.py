"""How the groups of one mission get their verdicts: from the mission's rule, or from a model.

    RuleTask    the rule decides; p_pass and raw_text are null
    ModelTask   the answer's first line is the verdict, or with a threshold p_pass ≥ threshold is; p_pass is null where
                the model reasoned first all the same, and where a server gives no likelihoods

An answer that is not the two lines of a verdict fails its group: it is never a pass. Another threshold rewrites the
verdicts on disk from their p_pass; the model is not asked again.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from yanshou import thinking
from yanshou.engines.base import Answer, Engine, Request, RunPlan, closing_answers
from yanshou.errors import GenerationError, GroupError, SummaryError, VerdictError
from yanshou.missions import Mission
from yanshou.missions.prompts import MAX_SUMMARY_CHARS, VERDICT_SYSTEM_PROMPT, verdict_prompt
from yanshou.missions.rules import decide
from yanshou.pipeline.mission_result import DecisionCounts
from yanshou.pipeline.mission_task import MissionTask
from yanshou.pipeline.outcome import AnswerCallback, Outcome, completed
from yanshou.pipeline.reorder import Reorder
from yanshou.pipeline.stale_lines import AbsentLines
from yanshou.schema.records import OTHER_SUMMARIES, StageARecord, VerdictRecord, now
from yanshou.schema.summary import parse
from yanshou.settings import JudgeSettings
from yanshou.stage_b.decisions import MissionUnderPolicy
from yanshou.stage_b.stale_verdicts import absent_verdicts, reads_all
from yanshou.stage_b.verdict import FAIL, PASS, read_verdict
from yanshou.stage_b.verdict_threshold import NO_P_PASS, NO_THRESHOLD, label_of, passes, rewrite_verdicts
from yanshou.storage.lines_file import LinesFile
from yanshou.storage.run_files import RunFiles
from yanshou.storage.run_identity import identity
from yanshou.storage.settings_diff import Change
from yanshou.text import SPECIAL_TOKEN, escape_surrogates, excerpt

RULES = "rules"  # in the run file, in place of a checkpoint
DECIMALS = 6  # of p_pass: differences between batch sizes are smaller
NOT_SUMMARIZED = "no run writes such summaries: summarize the group again"
TWO_LINES = "two lines are expected, 通过 or 不通过 and 理由: …; train the checkpoint for it (`yanshou train --sft`)"

logger = logging.getLogger(__name__)


class VerdictTask(MissionTask[StageARecord, VerdictRecord]):
    """What rule and model have in common."""

    kind = "verdicts"
    record_type = VerdictRecord
    may_change: ClassVar[Mapping[str, Change]] = {
        "sampling.max_new_tokens": "grow",
        "threshold": "any",
        "stage_a": "any",
    }

    def __init__(self, mission: Mission, groups: Sequence[StageARecord], settings: JudgeSettings) -> None:
        super().__init__(mission, groups, settings.limit)
        self._stage_a = self.inputs = [str(path.absolute()) for path in settings.stage_a]

    def absent(self, lines: LinesFile[VerdictRecord], inputs: Sequence[str]) -> AbsentLines:
        return absent_verdicts(lines, self.present, reads_all(self.inputs, inputs))

    def check(self, group: StageARecord, lines: LinesFile[VerdictRecord]) -> GroupError | None:
        """A verdict about other summaries than those that its group has now is an error."""
        if group.key in lines.done and not lines.fits(group.key, group.summaries_sha256):
            return SummaryError(
                OTHER_SUMMARIES, "delete the group's line from the verdicts and run again, or start over with --fresh"
            )
        return None


class RuleTask(VerdictTask):
    """The mission's rule decides."""

    def settings(self) -> dict[str, Any]:
        return {"checkpoint": RULES, "rule": self.mission.rule.to_dict(), "stage_a": self._stage_a}

    def environment(self, earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {}

    def outcomes(self, pending: Sequence[StageARecord], on_answer: AnswerCallback) -> Iterator[Outcome[VerdictRecord]]:
        for record in pending:
            decision = decide(self.mission.rule, [parse(line) for line in _lines(record)])
            verdict = VerdictRecord(
                **record.key._asdict(), verdict=label_of(decision.passed), reason=decision.reason, p_pass=None,
                raw_text=None, timestamp=now(), summaries_sha256=record.summaries_sha256,
            )  # fmt: skip
            yield Outcome(record.key, verdict)


class ModelTask(VerdictTask):
    """A model decides. Under a policy, decisions follow from its verdicts."""

    def __init__(
        self,
        mission: Mission,
        groups: Sequence[StageARecord],
        settings: JudgeSettings,
        engine: Engine,
        policy: MissionUnderPolicy | None = None,
    ) -> None:
        super().__init__(mission, groups, settings)
        self._all_groups, self._policy = groups, policy
        assert settings.engine is not None
        self._sampling, self._threshold, self._engine = settings.engine.sampling, settings.threshold, engine

    def settings(self) -> dict[str, Any]:
        return {
            **self._engine.identity(),
            "sampling": self._sampling.model_dump(mode="json"),
            "prompts": {
                "system": VERDICT_SYSTEM_PROMPT, "focus": self.mission.focus, "rule": self.mission.rule.condition,
            },
            "threshold": self._threshold,
            "stage_a": self._stage_a,
        }  # fmt: skip

    def environment(self, earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        texts = sorted((_lines(group) for group in self.groups if not _unreadable(group)), key=_length) or [[]]
        shortest, longest = (verdict_prompt(self.mission, texts[at]) for at in (0, -1))
        needed = self._threshold is not None
        self._engine.prepare_run(
            RunPlan(longest, photos=False, earlier=earlier, needs_logprobs=needed, trial_prompt=shortest)
        )
        return self._engine.environment()

    def check_origin(self, settings: Mapping[str, Any], environments: Sequence[Mapping[str, Any]]) -> list[str]:
        return self._policy.check(identity(settings, environments)) if self._policy else []

    def conclude(self, files: RunFiles[VerdictRecord]) -> DecisionCounts | None:
        return self._policy.write_decisions(files, self._all_groups) if self._policy else None

    def check(self, group: StageARecord, lines: LinesFile[VerdictRecord]) -> GroupError | None:
        """Summaries that a prompt cannot hold are an error, too, where the model would have to read them."""
        if group.key in lines.done:
            return super().check(group, lines)
        problem = _unreadable(group)
        return SummaryError(problem, NOT_SUMMARIZED) if problem else None

    def outcomes(self, pending: Sequence[StageARecord], on_answer: AnswerCallback) -> Iterator[Outcome[VerdictRecord]]:
        """In input order. Answered groups behind those that a stopped engine left unanswered are kept."""
        requests = (self._request(number, record) for number, record in enumerate(pending))
        finished = Reorder[Outcome[VerdictRecord]]()
        with closing_answers(self._engine, requests) as answers:
            for answer in answers:
                finished.add(answer.id, self._outcome(pending[answer.id], answer))
                on_answer(answer)
                yield from finished.ready()
        yield from finished.rest()

    def rewrite(self, lines: LinesFile[VerdictRecord]) -> int:
        return rewrite_verdicts(lines, self._threshold)

    def _request(self, number: int, record: StageARecord) -> Request:
        prompt = verdict_prompt(self.mission, _lines(record))
        key = "/".join((record.mission, record.label or "", record.group_id))
        return Request(number, prompt, None, key, candidates=(PASS, FAIL))

    def _outcome(self, group: StageARecord, answer: Answer) -> Outcome[VerdictRecord]:
        try:
            return Outcome(group.key, self._verdict(group, answer))
        except GroupError as error:
            return Outcome.failed(group.key, error)

    def _verdict(self, group: StageARecord, answer: Answer) -> VerdictRecord:
        """The group's line. Raises the GroupError that the group fails with."""
        completion = completed(answer)
        thinking.answer(completion.text)  # names the cause where reasoning is
        read = read_verdict(completion.text)
        if read.passed is None or read.reason is None:
            raise VerdictError(f"no verdict: the model wrote {excerpt(completion.text)}", TWO_LINES)
        p_pass = None if thinking.TAG.search(completion.text) else _p_pass(completion.logprobs)
        if p_pass is None and self._threshold is not None:
            raise VerdictError(f"{NO_P_PASS}: it wrote {excerpt(completion.text)}", NO_THRESHOLD)
        return VerdictRecord(
            **group.key._asdict(), verdict=label_of(passes(p_pass, read.passed, self._threshold)),
            reason=escape_surrogates(read.reason), p_pass=p_pass, raw_text=completion.text, timestamp=now(),
            summaries_sha256=group.summaries_sha256,
        )  # fmt: skip


def _p_pass(logprobs: Sequence[float]) -> float | None:
    """P(通过) / (P(通过) + P(不通过)), from the ln P of the two first lines. None where a server gives none."""
    if not logprobs:
        return None
    passing, failing = logprobs
    if math.isnan(failing - passing):
        raise GenerationError(
            f"ln P is {passing} for {PASS}, {failing} for {FAIL}",
            "run with --dtype float32, without --quantize and --kv-cache",
        )
    return round(1 / (1 + math.exp(min(failing - passing, 700.0))), DECIMALS)


def _unreadable(group: StageARecord) -> str:
    """What no prompt holds in the group's summaries; "" where a prompt holds them."""
    text = "\n".join(_lines(group))
    if token := SPECIAL_TOKEN.search(text):
        return f"its summaries contain {excerpt(token[0])}, which no chat template reads as text"
    if len(text) > MAX_SUMMARY_CHARS:
        return f"its summaries have {len(text):,} characters, more than {MAX_SUMMARY_CHARS:,}"
    return ""


def _length(lines: Sequence[str]) -> int:
    return sum(map(len, lines))


def _lines(record: StageARecord) -> list[str]:
    return list(map(escape_surrogates, record.per_image.values()))
