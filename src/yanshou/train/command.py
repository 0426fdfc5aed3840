"""From settings to the arguments of `swift`. Pure: nothing is read, started or imported.

    swift rlhf --rlhf_type grpo --model …/4B --dataset train.jsonl … --reward_weights 1.0 0.2 … <extra_args>
    swift sft --model …/4B --dataset out/sft_train.jsonl …
    swift export --model …/4B --adapters out/swift/checkpoint-150 --merge_lora true --output_dir out/.final.tmp

The user's own arguments (`extra_args`, those after `--`) come last and override the others, save for RESERVED_ARGS.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from yanshou.errors import UsageError
from yanshou.settings import TrainSettings
from yanshou.train.folder import TrainFolder

PLUGIN = Path(__file__).with_name("plugin.py")
PREFIX = "yanshou_"  # of the rewards' names: ms-swift has a `format` of its own
RESAMPLES = 3  # attempts of dynamic sampling to find other groups for one step
MISSIONS_ENV = "YANSHOU_MISSION_FILES"  # JSON list of paths, for the reward that needs the missions' rules
LAUNCHER_ENV = "YANSHOU_LAUNCHER"  # set: the trainer ends when its standard input does, see plugin.py

OFFLINE = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "USE_HF": "1",
    "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip
RESERVED_ARGS = {  # swift's argument → what to use instead
    "model": "--checkpoint", "dataset": "--train-file", "val_dataset": "--val-file", "output_dir": "--output-dir",
    "tuner_type": "--tuner", "resume_from_checkpoint": "the same command again", "external_plugins": "no other",
    "add_version": "no other", "rlhf_type": "--sft or not", "save_strategy": "--save-steps",
    "save_only_model": "no other", "reward_funcs": "a reward of your own in stage_b/rewards.py",
}  # fmt: skip

Arguments = Mapping[str, object]  # name → value; a list becomes several arguments, None leaves the name out


def train_args(
    settings: TrainSettings, model: Path, train: Path, val: Path | None, blocks: int, cpu: bool, resume: Path | None
) -> list[str]:
    """The arguments of a training. `blocks`: of the language model. Raises UsageError."""
    folder = TrainFolder(settings.output_dir.absolute())
    check_extra_args(settings.extra_args)
    command = ["sft"] if settings.sft else ["rlhf", "--rlhf_type", "grpo"]
    parts: list[Arguments] = [
        {"model": model, "model_type": "qwen3_vl", "template": "qwen3_vl", "check_model": False},
        {"dataset": train, "val_dataset": val, "external_plugins": PLUGIN},
        {"output_dir": folder.swift, "add_version": False, "report_to": "none", "resume_from_checkpoint": resume},
        tuner(settings, blocks),
        {} if settings.sft else _grpo(settings),
        _schedule(settings, val is not None),
        {"use_cpu": True, "torch_dtype": "float32"} if cpu else {},
    ]
    return [*command, *_flatten(parts), *settings.extra_args]


def merge_args(adapter: Path, model: Path, target: Path) -> list[str]:
    """The arguments that merge an adapter into `model`, the weights it was trained on.

    The adapter's args.json names model and plugin, too, but where they were when it was trained.
    """
    parts: Arguments = {
        "model": model, "adapters": adapter, "external_plugins": PLUGIN,
        "merge_lora": True, "output_dir": target, "exist_ok": True,
    }  # fmt: skip
    return ["export", *_flatten([parts])]


def environment(base: Mapping[str, str], cpu: bool, cache: Path, mission_files: Sequence[Path] = ()) -> dict[str, str]:
    """The trainer's environment: it asks no hub, has a cache of its own, and ends with its launcher."""
    place = {"MODELSCOPE_CACHE": str(cache), **({"CUDA_VISIBLE_DEVICES": ""} if cpu else {})}
    missions = json.dumps([str(path.absolute()) for path in mission_files])
    return {**base, **OFFLINE, LAUNCHER_ENV: "1", MISSIONS_ENV: missions, **place}


def tuner(settings: TrainSettings, blocks: int) -> Arguments:
    """What is trained: never the vision tower or the aligner."""
    frozen = {"freeze_llm": False, "freeze_vit": True, "freeze_aligner": True}
    if settings.tuner == "full":
        return {"tuner_type": "full", **frozen}
    return {
        "tuner_type": "lora", **frozen, "target_regex": target_regex(blocks, settings.last_blocks),
        "lora_rank": settings.lora_rank, "lora_alpha": settings.lora_alpha, "lora_dropout": settings.lora_dropout,
    }  # fmt: skip


def target_regex(blocks: int, last: int) -> str:
    """Matches the names of all linear layers in the last blocks of the language model, and nothing else."""
    if last > blocks:
        raise UsageError(f"--last-blocks {last}: the language model of this checkpoint has {blocks} blocks.")
    numbers = "|".join(map(str, range(blocks - last, blocks)))
    return rf"model\.language_model\.layers\.({numbers})\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"


def check_extra_args(args: Sequence[str]) -> None:
    """Raises UsageError for an argument after `--` that is reserved, or that does not begin with --."""
    if args and not args[0].startswith("--"):
        raise UsageError(f"unexpected argument {args[0]!r}: arguments for swift come after -- and begin with --")
    for arg in args:
        name = re.sub(r"=.*", "", arg.removeprefix("--")).replace("-", "_") if arg.startswith("--") else ""
        reserved = [known for known in RESERVED_ARGS if name and known.startswith(name)]  # swift takes short forms, too
        if reserved:
            raise UsageError(f"{arg} after -- is set by yanshou; use {RESERVED_ARGS[reserved[0]]} instead")


def _grpo(settings: TrainSettings) -> Arguments:
    weights = {name: weight for name, weight in settings.reward_weights.items() if weight}
    return {
        "reward_funcs": [PREFIX + name for name in weights],
        "reward_weights": list(weights.values()),
        "num_generations": settings.generations, "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature, "top_p": settings.top_p, "beta": settings.beta,
        "dynamic_sample": settings.dynamic_sampling, "max_resample_times": RESAMPLES, "log_completions": True,
    }  # fmt: skip


def _schedule(settings: TrainSettings, validated: bool) -> Arguments:
    # One group per validation batch: the batch then divides by the generations on any number of devices.
    eval_batch_size = settings.batch_size if settings.sft else settings.generations
    return {
        "learning_rate": settings.rate, "seed": settings.seed, "data_seed": settings.seed,
        "per_device_train_batch_size": settings.batch_size, "gradient_accumulation_steps": settings.accumulation,
        "per_device_eval_batch_size": eval_batch_size, "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps, "logging_steps": 1, "save_strategy": "steps",
        "save_steps": settings.save_steps, "save_total_limit": settings.keep_checkpoints,
        "eval_strategy": "steps" if validated else "no", "eval_steps": settings.save_steps if validated else None,
        "split_dataset_ratio": 0, "load_from_cache_file": False, "dataset_num_proc": 1, "dataloader_num_workers": 0,
    }  # fmt: skip


def _flatten(parts: Iterable[Arguments]) -> list[str]:
    args: list[str] = []
    for name, value in ((name, value) for part in parts for name, value in part.items()):
        if value is not None:
            values = value if isinstance(value, list) else [value]
            args += [f"--{name}", *map(_as_text, values)]
    return args


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
