"""Promises of `yanshou.cli.settings_options`: fields are options, options are the fields they were made from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner, Result
from pydantic import Field, model_validator
from support.cli_runs import run
from support.lines import SHIELD

from yanshou.cli import main
from yanshou.cli.command import command
from yanshou.cli.demo import DemoSettings
from yanshou.cli.doctor import DoctorSettings
from yanshou.cli.score import ScoreSettings
from yanshou.cli.settings_options import SettingOption, settings_options
from yanshou.cli.synth import SynthSettings
from yanshou.settings import (
    AuditDrawSettings,
    AuditEstimateSettings,
    CompareSettings,
    DatasetSettings,
    EvaluateSettings,
    JudgeSettings,
    Settings,
    StageASettings,
    TrainSettings,
)

MODELS: dict[str, type[Settings]] = {
    "audit draw": AuditDrawSettings, "audit estimate": AuditEstimateSettings, "compare": CompareSettings,
    "dataset": DatasetSettings, "demo": DemoSettings, "doctor": DoctorSettings, "evaluate": EvaluateSettings,
    "judge": JudgeSettings, "score": ScoreSettings, "summarize": StageASettings, "synth": SynthSettings,
    "train": TrainSettings,
}  # fmt: skip


class Inner(Settings):
    heading = "Inner"

    size: int = Field(default=3, ge=1, description="Size.")
    mode: Literal["a_b", "c"] = Field(default="a_b", description="Mode.")


class Optional(Settings):
    model: str = Field(description="Model.")
    count: int = Field(default=0, description="Count.")


class Base(Settings):
    missions: tuple[str, ...] = Field(default=(), description="Missions.")


class Outer(Base):
    output_dir: Path = Field(default=Path("out"), description="Folder.")
    share: float | None = Field(default=None, description="Share.")
    on: bool = Field(default=True, description="On.")
    off: bool = Field(default=False, description="Off.")
    inner: Inner = Inner(size=5)
    optional: Optional | None = None

    @model_validator(mode="after")
    def _share_needs_on(self) -> "Outer":
        if self.share is not None and not self.on:
            raise ValueError("`share` 0.5 needs `on`. Leave `missions` alone")
        return self


def given(*args: str) -> Outer:
    """The model that a command gets."""
    received: list[Outer] = []

    @command("Test.")
    @settings_options(Outer)
    def run(settings: Outer) -> None:
        received.append(settings)

    run.main(list(args), standalone_mode=False)
    return received[0]


def refused(*args: str) -> str:
    with pytest.raises(click.UsageError) as caught:
        given(*args)
    return caught.value.message


def test_without_options_a_command_gets_the_defaults() -> None:
    assert given() == Outer()


def test_options_reach_their_fields_however_deep() -> None:
    assert given(
        "--output-dir", "x", "--share", "0.5", "--off", "--mission", "a", "--mission", "b", "--size", "7",
        "--mode", "c", "--model", "m", "--count", "2",
    ) == Outer(
        output_dir=Path("x"), share=0.5, off=True, missions=("a", "b"), inner=Inner(size=7, mode="c"),
        optional=Optional(model="m", count=2),
    )  # fmt: skip
    assert given("--no-on") == Outer(on=False)


def test_an_optional_model_is_none_without_its_required_options() -> None:
    assert given("--count", "2").optional is None


def test_dashes_and_underscores_are_interchangeable_in_names_and_allowed_values() -> None:
    for args in (["--output_dir", "x", "--mode", "a-b"], ["--output-dir", "x", "--mode", "a_b"]):
        assert given(*args) == Outer(output_dir=Path("x"))
    with pytest.raises(click.BadParameter, match="'z' is not one of 'a_b', 'c'"):
        given("--mode", "z")


def test_what_pydantic_refuses_is_a_usage_error_that_names_options() -> None:
    assert refused("--size", "0") == "--size is 0: input should be greater than or equal to 1."
    assert refused("--share", "0.5", "--no-on") == "--share 0.5 needs --on. Leave --mission alone."


def test_two_fields_that_want_one_option_are_refused_when_the_command_is_made() -> None:
    class Clash(Settings):
        size: int = Field(default=1, description="Another size.")
        inner: Inner = Inner()

    with pytest.raises(AssertionError, match="two fields of Clash want the same option"):
        settings_options(Clash)


def test_omitted_fields_have_no_option_and_keep_their_default() -> None:
    received: list[Outer] = []

    @command("Test.")
    @settings_options(Outer, omit=["inner.mode", "optional"], arguments={"missions": "NAME..."})
    def run(settings: Outer) -> None:
        received.append(settings)

    run.main(["a", "--size", "7", "b"], standalone_mode=False)
    assert received == [Outer(missions=("a", "b"), inner=Inner(size=7))]
    assert {option for param in run.params for option in param.opts}.isdisjoint({"--mode", "--model", "--count"})


# --- the commands


def command_of(name: str) -> click.Command:
    """The command of a name; `audit draw` is one of a group."""
    outer, _, inner = name.partition(" ")
    found = main.commands[outer]
    return found.commands[inner] if isinstance(found, click.Group) else found


def params(name: str) -> Iterator[tuple[list[str], click.Parameter]]:
    """Path of the field and parameter, of every setting of a command."""
    for param in command_of(name).params:
        if "__" in str(param.name) or str(param.name) in MODELS[name].model_fields:
            yield str(param.name).split("__"), param


def fields(model: type[Settings]) -> set[str]:
    """Names of all plain fields, those of nested models included."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        kinds = getattr(field.annotation, "__args__", (field.annotation,))
        nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Settings)]
        found |= fields(nested[0]) if nested else {name}
    return found


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_is_an_option_of_its_command(name: str) -> None:
    missing = fields(MODELS[name]) - {path[-1] for path, _ in params(name)}
    allowed = {"exif", "max_pixels", "min_pixels", "temperature", "top_p", "repetition_penalty", "seed"}
    assert missing == (allowed if name == "judge" else set())


@pytest.mark.parametrize("name", MODELS)
def test_an_option_that_is_not_given_has_the_default_of_its_field(name: str) -> None:
    for path, param in params(name):
        field = MODELS[name].model_fields[path[0]]
        if isinstance(param, SettingOption) and len(path) == 1 and not field.is_required():
            assert param.default == field.default, path


def test_verdicts_have_a_default_of_their_own() -> None:
    defaults = {name: {path[-1]: param.default for path, param in params(name)} for name in MODELS}
    assert defaults["summarize"]["max_new_tokens"] == 256
    assert defaults["judge"]["max_new_tokens"] == defaults["train"]["max_new_tokens"] == 128


def test_judge_takes_a_checkpoint_or_the_rules(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.touch()

    def judge(*args: str) -> Result:
        return run("judge", "--output-dir", str(tmp_path / "out"), str(lines), *args)

    for args in ([], ["--rules", "--checkpoint", "demo"]):
        assert judge(*args).stderr.endswith("Error: --checkpoint, --endpoint or --rules: give one of them.\n")
    assert "Error: --max-new-tokens is 0" in judge("--rules", "--max-new-tokens", "0").stderr
    assert judge("--rules", "--threshold", "0.5").stderr.endswith(
        "Error: --threshold needs the p_pass of a model, and the rules give none. Give a checkpoint.\n"
    )
    for option, value in (("--quantize", "fp8"), ("--kv-cache", "fp8"), ("--workers", "2"), ("--max-new-tokens", "9")):
        assert judge("--rules", option, value).stderr.endswith(
            f"Error: {option} is for a model, and --rules asks none. Leave it out.\n"
        )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["summarize", "--concurrency", "8"], "--concurrency is about requests to a server. Give the server with"),
        (["summarize", "--mixed-workers"], "--mixed-workers is about several workers. Say how many with --workers"),
        (["summarize", "--worker-timeout", "9"], "--worker-timeout is about workers. Say how many with --workers"),
        (["summarize", "--engine", "transformers", "--gpu-memory", "0.5"], "--gpu-memory is for the continuous engine"),
        (["summarize", "--device", "cpu", "--gpu-memory", "0.5"], "--gpu-memory is a share of a GPU, and --device is"),
        (["train", "--sft", "--beta", "0.1"], "--beta is for GRPO, and --sft is given. Leave it out."),
        (["train", "--sft", "--reward", "grounded=1"], "--reward is for GRPO, and --sft is given. Leave it out."),
        (["train", "--sft", "--generations", "8"], "--generations is for GRPO, and --sft is given. Leave it out."),
        (["train", "--tuner", "full", "--lora-rank", "4"], "--lora-rank is for LoRA, and --tuner is full. Leave it"),
        (
            ["dataset", "--repeats", "8"],
            "--repeats is about groups that are judged wrong. Give the files of --verdicts",
        ),
        (["review", "--all-groups"], "--all-groups is about the groups of files that are added. Give the files, too."),
        (["review", "--near", "0.1"], "--near is about the groups of files that are added. Give the files, too."),
    ],
)
def test_an_option_that_would_do_nothing_is_refused_with_a_cure(tmp_path: Path, args: list[str], message: str) -> None:
    (lines := tmp_path / "a.jsonl").touch()
    out = ["--output-dir", str(tmp_path / "out")]
    needed = {
        "summarize": [*out, "--checkpoint", "demo", "--input-dir", str(tmp_path), "--mission", SHIELD],
        "train": [*out, "--checkpoint", "demo", "--train-file", str(lines)],
        "dataset": [*out, str(lines)],
        "review": ["--store", str(tmp_path / "review.sqlite")],
    }
    result = run(*args, *needed[args[0]])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_base_beside_a_server_needs_the_adapter(tmp_path: Path) -> None:
    server = ["--endpoint", "http://127.0.0.1:1/v1", "--model", "m", "--base-checkpoint", "demo"]
    result = run("summarize", "--output-dir", str(tmp_path), "--photos", str(tmp_path), "--mission", SHIELD, *server)
    assert (result.exit_code, "--base-checkpoint is of an adapter. Give the adapter" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("args", "warns"), [(["--top-p", "0.9"], True), (["--top-p", "0.9", "--temperature", "1"], False), ([], False)]
)
def test_options_of_drawn_tokens_are_reported_where_none_is_drawn(tmp_path: Path, args: list[str], warns: bool) -> None:
    needed = ["--output-dir", str(tmp_path / "o"), "--photos", str(tmp_path), "--mission", SHIELD]
    result = run("summarize", "--checkpoint", "demo", *needed, *args)
    warning = "warning: --top-p has no effect: --temperature is 0, which takes the most likely token"
    assert (warning in result.stderr) == warns


# --- help


def test_the_help_has_a_section_for_each_heading() -> None:
    text = CliRunner().invoke(main, ["summarize", "--help"]).stdout
    headings = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [
        "Input and output:",
        "Model:",
        "Photos:",
        "Sampling:",
        "Workers:",
        "Endpoint:",
        "Prompt:",
        "Other:",
    ]
    assert "[auto|sdpa|flash_attention_2|eager]" in text


@pytest.mark.parametrize("name", MODELS)
def test_each_help_text_can_be_read_alone(name: str) -> None:
    context = click.Context(command_of(name), info_name=name)
    for param in command_of(name).params:
        option, text = param.get_help_record(context) or ("", "")
        assert not text.startswith(("Of ", "Likewise", "Whose ", "Instead")), (option, text)
        assert text.split("  [")[0].endswith("."), (option, text)
        if isinstance(param, SettingOption) and not param.required and param.default is None:
            assert "Default: " in text or param.name in (
                "max_false_release",
                "max_false_block",
                "engine__checkpoint",
                "policy",
            ), option


@pytest.mark.parametrize("default", ["0", "256", "mission-focus", "apply"])
def test_help_shows_defaults(default: str) -> None:
    page = CliRunner().invoke(main, ["summarize", "--help"], terminal_width=200).stdout
    assert f"[default: {default}]" in page


def test_what_is_missing_is_named() -> None:
    assert "Missing option '--output-dir'" in run("summarize", "--input-dir", ".", "--mission", SHIELD).stderr
