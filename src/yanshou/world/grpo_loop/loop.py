"""The steps of the closed loop, as yanshou's own commands."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import click

from yanshou.engines import checkpoint
from yanshou.world.grpo_loop import figures
from yanshou.world.grpo_loop.settings import DATA, TRAINING, Settings
from yanshou.world.grpo_loop.steps import Shell, Steps
from yanshou.world.grpo_loop.true_lines import write_true_lines

YANSHOU = (sys.executable, "-m", "yanshou.cli")
OTHER_WORLD = 20261124  # seed of the photos on which Stage-A is scored before and after training


class Loop:
    """The steps of the loop, in order."""

    def __init__(self, settings: Settings, steps: Steps) -> None:
        self.settings, self.steps, self.out = settings, steps, settings.output_dir
        self.initial = settings.checkpoint or str(self.out / "initial")

    def run(self) -> None:
        """Runs every step that is not done yet."""
        settings, steps = self.settings, self.steps
        steps.keep_settings("settings", settings.subset(DATA))
        if settings.checkpoint is None:
            steps.run("initial", self._train_initial)
        steps.run("synth-other", partial(self._draw, "other", settings.other_groups, OTHER_WORLD))
        steps.together(
            partial(self._draw_and_summarize, "train", settings.train_groups, settings.train_world),
            partial(self._draw_and_summarize, "held", settings.held_groups, settings.held_world),
        )
        steps.run("true-lines", self._write_true_lines)
        steps.run("judge-train", partial(self._judge, self.initial, self.out / "train" / "verdicts", "train/stage_a"))
        steps.run("dataset", self._dataset)
        if settings.until == "dataset":
            return
        steps.keep_settings("training", settings.subset(TRAINING))
        trainings = [partial(self._train_and_evaluate, seed) for seed in settings.seeds.split()]
        steps.together(partial(self._evaluate, "before", self.initial), *trainings)
        self._report()

    # -- chains of steps -----------------------------------------------------------------------------------------------

    def _draw_and_summarize(self, world: str, groups: int, seed: int) -> None:
        self.steps.run(f"synth-{world}", partial(self._draw, world, groups, seed))
        self.steps.run(f"summarize-{world}", partial(self._summarize, world, self.initial, "stage_a"))
        self.steps.run(f"score-{world}", partial(self._score, world, "stage_a", self.out / world / "score.json"))

    def _train_and_evaluate(self, seed: str) -> None:
        """One training and the evaluation of its checkpoint in bf16, the form in which it would be shipped."""
        name = f"seed-{seed}"
        trained, shipped = self.out / name / "final", self.out / name / "bf16"
        export = (sys.executable, "-m", "yanshou.world.export", trained, shipped)
        self.steps.run(f"train-{name}", partial(self._train, seed))
        self.steps.run(f"export-{name}", lambda shell: shell.run(*export))
        self._evaluate(name, str(shipped))

    def _evaluate(self, who: str, model: str) -> None:
        """Verdicts on the held-out groups, and summaries of another world, which training must not spoil."""
        (self.out / "verdicts" / who).mkdir(parents=True, exist_ok=True)
        self.steps.together(
            *(partial(self._judge_and_evaluate, who, model, lines) for lines in figures.LINES),
            partial(self._summarize_and_score, who, model),
        )

    def _judge_and_evaluate(self, who: str, model: str, lines: str) -> None:
        folder = self.out / "verdicts" / who
        self.steps.run(f"judge-{who}-{lines}", partial(self._judge, model, folder / lines, f"held/{lines}"))
        self.steps.run(f"evaluate-{who}-{lines}", partial(self._evaluate_verdicts, folder, lines))

    def _summarize_and_score(self, who: str, model: str) -> None:
        score = self.out / "verdicts" / who / "score.json"
        self.steps.run(f"summarize-other-{who}", partial(self._summarize, "other", model, who))
        self.steps.run(f"score-other-{who}", partial(self._score, "other", who, score))

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _train_initial(self, shell: Shell) -> None:
        """Makes the shipped checkpoint, which has been through the loop, a mediocre judge again."""
        settings, folder, draft = self.settings, self.out / "initial", self.out / ".initial.tmp"
        for path in (folder, draft):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(checkpoint.locate("demo"), draft)
        shell.run(
            *(sys.executable, "-m", "yanshou.world.train", "--output-dir", draft, "--device", settings.device),
            *("--workers", "0" if settings.device == "cpu" else "15", "--steps", settings.initial_steps),
            *("--batch-size", settings.initial_batch_size, "--exam", settings.initial_exam),
            *("--learning-rate", "2e-4", "--warmup", "20", "--verdict-share", "0.85", "--seed", "5"),
        )
        (draft / "state.safetensors").unlink()
        draft.rename(folder)

    def _draw(self, world: str, groups: int, seed: int, shell: Shell) -> None:
        photos = self.out / world / "photos"
        shutil.rmtree(photos, ignore_errors=True)
        shell.run(*YANSHOU, "synth", "--output-dir", photos, "--groups", groups, "--seed", seed)

    def _summarize(self, world: str, model: str, name: str, shell: Shell) -> None:
        """One process per mission."""
        photos = self.out / world / "photos"
        paths = ("--checkpoint", model, "--input-dir", photos, "--output-dir", self.out / world / name)
        missions = sorted(folder.name for folder in photos.iterdir() if folder.is_dir())
        self.steps.together(
            *(
                partial(shell.run, *YANSHOU, "summarize", *paths, *self._engine(), "--mission", mission)
                for mission in missions
            )
        )

    def _score(self, world: str, name: str, output: Path, shell: Shell) -> None:
        truth = self.out / world / "photos" / "truth.jsonl"
        files = _stage_a_files(self.out / world / name)
        shell.run(*YANSHOU, "score", "--json", "--truth", truth, "--stage-a", *files, output=output)

    def _write_true_lines(self, _: Shell) -> None:
        held = self.out / "held"
        files = _stage_a_files(held / "stage_a")
        write_true_lines(held / "photos" / "truth.jsonl", files, held / "true")

    def _judge(self, model: str, output_dir: Path, lines: str, shell: Shell) -> None:
        files = _stage_a_files(self.out / lines)
        shell.run(*YANSHOU, "judge", "--checkpoint", model, *self._engine(), "--output-dir", output_dir, *files)

    def _engine(self) -> tuple[object, ...]:
        settings = self.settings  # several processes share the GPU
        return "--device", settings.device, "--batch-size", settings.batch_size, "--gpu-memory", "0.1"

    def _evaluate_verdicts(self, folder: Path, lines: str, shell: Shell) -> None:
        files = _verdict_files(folder / lines)
        report = folder / lines / "report"
        shell.run(*YANSHOU, "evaluate", "--json", "--output-dir", report, *files, output=folder / f"{lines}.json")

    def _dataset(self, shell: Shell) -> None:
        train = self.out / "train"
        judged = _verdict_files(train / "verdicts")
        verdicts = [argument for file in judged for argument in ("--verdicts", file)]
        files = _stage_a_files(train / "stage_a")
        repeats = ("--val-fraction", "0.05", "--repeats", self.settings.repeats)
        shell.run(*YANSHOU, "dataset", "--output-dir", self.out / "data", *repeats, *verdicts, *files)

    def _train(self, seed: str, shell: Shell) -> None:
        settings = self.settings
        shell.run(
            *(*YANSHOU, "train", "--checkpoint", self.initial, "--train-file", self.out / "data" / "train.jsonl"),
            *("--output-dir", self.out / f"seed-{seed}", "--seed", seed, "--device", settings.device),
            *("--tuner", settings.tuner, "--learning-rate", settings.learning_rate, "--beta", settings.beta),
            *("--generations", settings.generations, "--batch-size", settings.micro_batch),
            *("--accumulation", settings.answers // settings.micro_batch, "--max-steps", settings.steps),
            *("--save-steps", settings.save_steps, "--temperature", settings.temperature, "--top-p", "1.0"),
            *("--no-dynamic-sampling", "--max-new-tokens", settings.max_new_tokens),
            *("--reward", f"grounded={settings.grounded}"),
            *(*settings.train_args, "--", *settings.swift_args.split()),
        )

    def _report(self) -> None:
        folder = self.out / "verdicts"
        verdicts, summaries = figures.verdict_figures(folder), figures.summary_figures(folder)
        click.echo("\n".join([*figures.verdict_table(verdicts), "", *figures.summary_table(summaries)]))
        found = json.dumps({"verdicts": verdicts, "summaries": summaries}, indent=1)
        (self.out / "figures.json").write_text(found + "\n", encoding="utf-8")


def _stage_a_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*_stage_a.jsonl"))


def _verdict_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*_verdicts.jsonl"))
