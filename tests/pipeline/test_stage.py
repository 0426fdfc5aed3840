"""Guarantees of `yanshou.pipeline.stage`: one driver for both stages, locked from the first read to the last write."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from support.lines import CABLES, SHIELD
from support.stage_a_runs import PhotoTree, Script, jobs, run, run_file, settings

from yanshou.engines.base import Answer, Request, RunPlan
from yanshou.engines.scripted import ScriptedEngine
from yanshou.errors import CheckpointError, RunError
from yanshou.pipeline.mission_result import MissionResult
from yanshou.settings import JudgeSettings
from yanshou.stage_a.summarize import prepare, summarize_directory
from yanshou.stage_b.judge import judge_files


class Planning(ScriptedEngine):
    """Calls a function when it is planned."""

    plan: Callable[[RunPlan], None]

    def prepare_run(self, run: RunPlan) -> None:
        self.plan(run)


def planning(script: Path, plan: Callable[[RunPlan], None], **options: int) -> Planning:
    engine = Planning(settings(Path(), script, Path(), **options).engine)
    engine.plan = plan
    return engine


def test_a_second_run_is_refused_while_the_first_one_plans_its_engine(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(jobs(2)), script(), tmp_path / "out"
    second: list[MissionResult] = []
    engine = planning(path, lambda plan: second.append(run(root, path, out)))
    (first,) = summarize_directory(settings(root, path, out), engine)
    assert (first.status, first.written, second[0].status, second[0].written) == (0, 2, 1, 0)
    assert "another run is writing it" in second[0].error


def test_an_engine_is_planned_with_the_environments_of_the_lines_so_far(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(jobs(3)), script(), tmp_path / "out"
    plans: list[RunPlan] = []
    for limit, batch_size in ((1, 8), (2, 4), (3, 2)):
        summarize_directory(settings(root, path, out, limit=limit), planning(path, plans.append, batch_size=batch_size))
    assert [[one["batch_size"] for one in plan.earlier] for plan in plans] == [[], [8], [4, 8]]
    assert len(run_file(out)["earlier_environments"]) == 2


@pytest.mark.parametrize("fresh", [False, True])
def test_a_plan_that_fails_leaves_every_file_as_it_was(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, fresh: bool
) -> None:
    root, path, out = photo_tree(jobs(2)), script(), tmp_path / "out"
    run(root, path, out, limit=1)
    before = {file.name: file.read_bytes() for file in out.iterdir()}

    def fail(plan: RunPlan) -> None:
        raise CheckpointError("no memory")

    with pytest.raises(CheckpointError, match="no memory"):
        summarize_directory(settings(root, path, out, fresh=fresh), planning(path, fail))
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_both_stages_log_their_missions_and_print_nothing(
    photo_tree: PhotoTree,
    script: Script,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO, "yanshou")
    root, out = photo_tree({**jobs(2, mission=CABLES), **jobs(3)}), tmp_path / "out"
    stage = prepare(settings(root, script(), out, "all"))
    files = tuple(result.lines for result in stage.run() if result.lines)
    judge_files(JudgeSettings(stage_a=files, output_dir=tmp_path / "verdicts", engine=None))
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("yanshou.pipeline")]
    assert messages[0] == f"{CABLES}: 2 groups, 0 of them done, 2 to do"
    assert [message.split(" after ")[0] for message in messages[1::2]] == [
        f"{mission}: finished" for mission in (CABLES, SHIELD) * 2
    ]
    assert "".join(capfd.readouterr()) == ""


def test_an_engines_warnings_come_before_and_after_the_mission_that_they_are_about(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    class WarningEngine(ScriptedEngine):
        told = 0

        def take_warnings(self) -> list[str]:
            self.told += 1
            return [f"warning {self.told}"] if self.told < 4 else []

    root, path = photo_tree(jobs(1) | jobs(1, mission=CABLES)), script()
    options = settings(root, path, tmp_path / "out", SHIELD, CABLES)
    results = summarize_directory(options, WarningEngine(options.engine))
    told = [(result.warnings, result.late_warnings) for result in results]
    assert told == [(["warning 1"], ["warning 2"]), (["warning 3"], [])]


def test_dead_workers_are_counted_with_their_mission_however_it_ends(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    class Dying(ScriptedEngine):
        worker_deaths = 5  # before the run

        def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
            self.worker_deaths += 2
            yield from super().generate(requests)
            self.worker_deaths += 1
            if self.worker_deaths > 8:
                raise RunError("every worker died")

    root, out = photo_tree(jobs(1) | jobs(1, mission=CABLES)), tmp_path / "out"
    options = settings(root, script(), out, SHIELD, CABLES)
    results = summarize_directory(options, Dying(options.engine))
    assert [(result.worker_deaths, result.error) for result in results] == [(3, ""), (3, "every worker died")]
    assert run_file(out)["counts"]["worker_deaths"] == 3
