"""Stage-B's verdicts: Stage-A lines in, `<mission>_verdicts.jsonl` out.

    挡风板安装检查_stage_a.jsonl ── a group's lines ── model, or the mission's rule ── 挡风板安装检查_verdicts.jsonl

    results = judge(JudgeSettings(stage_a=(…,), output_dir=…, engine=EngineSettings(checkpoint=…)))

The writer, the errors file, resuming and interrupting are Stage-A's. Text that is not the two lines of a verdict fails
its group: it is never a pass. Without a threshold the verdict is the first line; with one it is pass exactly where
p_pass reaches it, and another threshold rewrites the verdicts on disk from the p_pass that stands there.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from yanshou.engines.base import Engine, Failure, Request, RunPlan, closing_answers
from yanshou.errors import GenerationError, GroupError, InputError, SummaryError, VerdictError
from yanshou.missions import Mission, load_missions
from yanshou.missions.prompts import LONGEST, VERDICT_SYSTEM_PROMPT, verdict_prompt
from yanshou.missions.rules import decide
from yanshou.pipeline.mission_run import Listener, MissionResult, MissionRun, Silence, guarded
from yanshou.pipeline.outcome import TRUNCATED, Answer, Outcome, repetition_error
from yanshou.schema.records import GroupKey, Label, StageARecord, VerdictRecord, now, stale_verdict
from yanshou.schema.summary import parse
from yanshou.settings import JudgeSettings
from yanshou.stage_b.verdict import FAIL, PASS, read_verdict
from yanshou.storage.read_groups import read_groups
from yanshou.storage.run_files import Output
from yanshou.storage.settings_diff import Change
from yanshou.text import SPECIAL_TOKEN, escape_surrogates, excerpt

RULES = "rules"  # what stands in run.json in the checkpoint's place
DECIMALS = 6  # of p_pass: what a batch changes lies behind them
MAY_CHANGE: dict[str, Change] = {"sampling.max_new_tokens": "grow", "threshold": "any", "stage_a": "any"}
NOT_OURS = "no run writes that: summarize the group again"
TWO_LINES = "two lines are wanted, 通过 or 不通过 and 理由: …; train the checkpoint for it (`yanshou train --sft`)"


class Work(NamedTuple):
    """One mission: its groups in the files' order."""

    mission: Mission
    groups: list[StageARecord]


def judge(
    settings: JudgeSettings, engine: Engine | None = None, listener: Listener | None = None
) -> list[MissionResult]:
    """Judges every mission in the files; `engine` overrides the settings' one.

    Raises UsageError, InputError, DamagedFileError, CheckpointError for what concerns every mission.
    """
    found, engine = prepare(settings, engine)
    run = Judge(settings, engine, listener or Silence())
    return [run.run(work) for work in found]


def prepare(settings: JudgeSettings, engine: Engine | None = None) -> tuple[list[Work], Engine | None]:
    """What is there to do, read before the checkpoint is touched, and the engine to do it with; None for the rules."""
    from yanshou.engines import load_engine

    known = load_missions(settings.mission_files)
    found: dict[str, Work] = {}
    for _, record in read_groups(settings.stage_a, StageARecord, known):
        found.setdefault(record.mission, Work(known.get(record.mission), [])).groups.append(record)
    if not found:
        raise InputError(f"{', '.join(map(str, settings.stage_a))}: no group to judge. Run `yanshou summarize` first.")
    if settings.engine is None:
        return list(found.values()), None
    return list(found.values()), engine or load_engine(settings.engine)


class Judge:
    """One engine, or the rules, over several missions."""

    def __init__(self, settings: JudgeSettings, engine: Engine | None, listener: Listener) -> None:
        self.settings, self.engine, self.listener = settings, engine, listener
        self.interrupted = False

    def interrupt(self) -> None:
        """Ends the run after the batch in hand, by the rules after the group in hand. Safe from a signal handler."""
        self.interrupted = True
        if self.engine:
            self.engine.stop()

    def run(self, work: Work) -> MissionResult:
        """One mission to its end, whatever the end is."""
        result = MissionResult(work.mission.name)
        return guarded(result, self.listener, lambda: self._run(work, result))

    def _run(self, work: Work, result: MissionResult) -> None:
        groups = work.groups[: self.settings.limit]
        result.groups = len(groups)
        present = {record.key for record in work.groups}
        with self._output(work.mission, groups) as output, MissionRun(output, result, self.listener, present) as run:
            pending = list(_pending(groups, run, asked=self.engine is not None))
            run.take(self._outcomes(work.mission, pending, run), lambda: self.interrupted, self.engine)

    def _output(self, mission: Mission, groups: Sequence[StageARecord]) -> Output[VerdictRecord, str]:
        def environment(earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
            if self.engine is None:
                return {}
            longest = max(groups, key=lambda record: sum(map(len, record.per_image.values())))
            prompt = verdict_prompt(mission, _lines(longest))
            self.engine.prepare_run(RunPlan(prompt, photos=False, earlier=earlier))
            return self.engine.environment()

        return Output.open(
            self.settings.output_dir, f"{mission.name}_verdicts", VerdictRecord, mission=mission.name,
            digest=lambda record: record.timestamp, settings=self._identity(mission),
            environment=environment, may_change=MAY_CHANGE,
            revise=self._revised, fresh=self.settings.fresh,
        )  # fmt: skip

    def _identity(self, mission: Mission) -> dict[str, Any]:
        """What a resume must have in common with the lines so far, and what the verdicts were made from."""
        made_from = {"stage_a": [str(path.absolute()) for path in self.settings.stage_a]}
        rule = mission.rule.model_dump(mode="json", by_alias=True)
        if self.engine is None or self.settings.engine is None:
            return {"checkpoint": RULES, "rule": rule, **made_from}
        return {
            **self.engine.identity(),
            "sampling": self.settings.engine.sampling.model_dump(mode="json"),
            "prompts": {"system": VERDICT_SYSTEM_PROMPT, "focus": mission.focus, "rule": mission.rule.text},
            "threshold": self.settings.threshold,
            **made_from,
        }

    def _revised(self, record: VerdictRecord) -> VerdictRecord:
        """The line as this run's threshold wants it."""
        if record.p_pass is None or record.raw_text is None:
            return record
        passed = self._passes(record.p_pass, bool(read_verdict(record.raw_text).passed))
        return record.model_copy(update={"verdict": _label(passed)})

    def _passes(self, p_pass: float, said: bool) -> bool:
        return said if self.settings.threshold is None else p_pass >= self.settings.threshold

    def _outcomes(
        self, mission: Mission, pending: Sequence[StageARecord], run: MissionRun[VerdictRecord, str]
    ) -> Iterator[Outcome[VerdictRecord]]:
        if self.engine is None:
            return _by_rule(mission, takewhile(lambda _: not self.interrupted, pending))
        return self._by_model(self.engine, mission, pending, run)

    def _by_model(
        self, engine: Engine, mission: Mission, pending: Sequence[StageARecord], run: MissionRun[VerdictRecord, str]
    ) -> Iterator[Outcome[VerdictRecord]]:
        """In input order: an answer that overtakes others waits for them."""
        if not pending or self.interrupted:
            return
        requests = (_request(number, mission, record) for number, record in enumerate(pending))
        answered: dict[int, Outcome[VerdictRecord]] = {}
        next_out = 0
        with closing_answers(engine, requests) as answers:
            for answer in answers:
                answered[answer.id] = self._outcome(pending[answer.id].key, answer)
                run.heard(answer)
                while next_out in answered:
                    yield answered.pop(next_out)
                    next_out += 1
        yield from (answered[number] for number in sorted(answered))  # a stopped engine left those before unanswered

    def _outcome(self, key: GroupKey, answer: Answer) -> Outcome[VerdictRecord]:
        try:
            return Outcome(key, self._verdict(key, answer))
        except GroupError as error:
            return Outcome(key, None, ((None, error),))

    def _verdict(self, key: GroupKey, answer: Answer) -> VerdictRecord:
        """The group's line. Raises the GroupError that the group fails with."""
        if isinstance(answer, Failure):
            raise answer.error
        if answer.finish_reason == "length":
            raise GenerationError(f"the answer was cut off: …{answer.text[-40:]!r}", TRUNCATED.split(", or")[0])
        if answer.finish_reason == "repetition":
            raise repetition_error(answer)
        said = read_verdict(answer.text)
        if said.passed is None or said.reason is None:
            raise VerdictError(f"no verdict: the model wrote {excerpt(answer.text)}", TWO_LINES)
        passing, failing = answer.logprobs
        if math.isnan(failing - passing):
            raise GenerationError(f"ln P is {passing} for {PASS}, {failing} for {FAIL}", "run with --dtype float32")
        p_pass = round(1 / (1 + math.exp(min(failing - passing, 700.0))), DECIMALS)
        return VerdictRecord(
            **key._asdict(), verdict=_label(self._passes(p_pass, said.passed)), reason=escape_surrogates(said.reason),
            p_pass=p_pass, raw_text=answer.text, timestamp=now(),
        )  # fmt: skip


def _request(number: int, mission: Mission, record: StageARecord) -> Request:
    key = "/".join((record.mission, record.label or "", record.group_id))
    return Request(number, verdict_prompt(mission, _lines(record)), None, key, candidates=(PASS, FAIL))


def _by_rule(mission: Mission, pending: Iterable[StageARecord]) -> Iterator[Outcome[VerdictRecord]]:
    for record in pending:
        decision = decide(mission.rule, [parse(line) for line in _lines(record)])
        yield Outcome(
            record.key,
            VerdictRecord(
                **record.key._asdict(), verdict=_label(decision.passed), reason=decision.reason, p_pass=None,
                raw_text=None, timestamp=now(),
            ),
        )  # fmt: skip


def _pending(
    groups: Sequence[StageARecord], run: MissionRun[VerdictRecord, str], asked: bool
) -> Iterator[StageARecord]:
    """The groups without a verdict. One that cannot be judged fails here. `asked`: a model will read it."""
    done = run.output.done
    for record in groups:
        if error := _fault(record, done.get(record.key), asked):
            run.settle(Outcome(record.key, None, ((None, error),)))
        elif record.key in done:
            run.result.skipped += 1
        else:
            yield record


def _fault(record: StageARecord, judged: str | None, asked: bool) -> SummaryError | None:
    if judged is not None and (outdated := stale_verdict(record.timestamp, judged)):
        return SummaryError(
            outdated,
            "delete the group's line from the verdicts and run again, or start over with --fresh",
        )
    if judged is not None or not asked:
        return None
    text = "\n".join(_lines(record))
    if token := SPECIAL_TOKEN.search(text):
        return SummaryError(f"its summaries hold {excerpt(token[0])}, which no chat template reads as text", NOT_OURS)
    if len(text) > LONGEST:
        return SummaryError(f"its summaries have {len(text):,} characters, more than {LONGEST:,}", NOT_OURS)
    return None


def _lines(record: StageARecord) -> list[str]:
    return list(map(escape_surrogates, record.per_image.values()))


def _label(passed: bool) -> Label:
    return "pass" if passed else "fail"
