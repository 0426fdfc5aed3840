"""The benchmarks run, and the checkpoint that they write has Qwen's real vocabulary and runs like any other."""

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from support.checkpoints import noise

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import forced_length_engines
import host
import invariance
import logits
import make_checkpoint
import memory_pressure
import rows
import threshold_guarantee
import throughput
import trl_step
import workload

from yanshou.cli import main
from yanshou.engines import Request
from yanshou.engines.continuous.capacity import CPU_SLOTS, RequestBounds
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import CheckpointError
from yanshou.settings import EngineSettings, PhotoSettings


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real vocabulary, 151,669 tokens, and a few million weights. Not to be written to."""
    folder = tmp_path_factory.mktemp("checkpoint") / "real"
    make_checkpoint.write_checkpoint(folder, "tiny", weights=True)
    return folder


@pytest.fixture(scope="module")
def bare(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder without its weights. Not to be written to."""
    folder = tmp_path_factory.mktemp("checkpoint") / "bare"
    folder.mkdir()
    for path in real.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "model.safetensors").unlink()
    make_checkpoint.save_file({}, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def engine(real: Path) -> TransformersEngine:
    return TransformersEngine(EngineSettings(checkpoint=str(real), device="cpu"))


def test_the_vocabulary_is_the_real_one(engine: TransformersEngine) -> None:
    tokenizer = engine.processor.tokenizer
    assert len(tokenizer) == 151_669
    assert tokenizer("你好")["input_ids"] == [108_386]
    assert tokenizer("Hello world")["input_ids"] == [9_707, 1_879]
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|image_pad|>", "<think>")
    assert tokenizer.convert_tokens_to_ids(names) == [151_643, 151_644, 151_645, 151_652, 151_655, 151_667]
    for text in (workload.SYSTEM, "BBU设备/华为,显示完整×1 🔩\n\n  x's 2025-11-22", "ﷺ é\u0000"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_prompt_of_the_workload_is_as_long_as_it_says(engine: TransformersEngine, tmp_path: Path) -> None:
    (photo,) = workload.write_photos(tmp_path, 1)
    assert 600_000 < photo.stat().st_size < 800_000
    prepared = engine.prepare(Request(0, workload.PROMPT, photo))
    assert len(prepared.ids) == 939
    assert int((prepared.ids == engine.processor.image_token_id).sum()) == 741


def test_the_workload_has_the_shape_it_says() -> None:
    lengths = sorted(workload.answer_lengths(10_000))
    assert [round(lengths[at], -1) for at in (5_000, 9_500, 9_900)] == [50, 110, 160]
    assert (lengths[0], lengths[-1]) == (8, 200)
    sizes = workload.group_sizes(10_000)
    assert sum(sizes) == 10_000
    assert 3.3 < 10_000 / len(sizes) < 3.6
    assert max(set(sizes), key=sizes.count) == 3
    assert workload.answer_lengths(50) == workload.answer_lengths(50)


def test_a_folder_with_the_real_vocabulary_is_summarized(real: Path, tmp_path: Path) -> None:
    """By the command itself. Greedy, weights that were never trained repeat the line break before the answer."""
    group = tmp_path / "in" / "挡风板安装检查" / "审核通过" / "QC-1"
    group.mkdir(parents=True)
    for number in (1, 2):
        noise(number, 200, 300).save(group / f"{number}.jpg")
    arguments = ["--checkpoint", real, "--input-dir", tmp_path / "in", "--output-dir", tmp_path / "out", "--json",
                 "--mission", "all", "--device", "cpu", "--max-new-tokens", "8", "--allow-truncated",
                 "--temperature", "1"]  # fmt: skip
    result = CliRunner().invoke(main, ["summarize", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    (line,) = (tmp_path / "out" / "挡风板安装检查_stage_a.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(line)
    assert list(record["per_image"]) == ["图片_1", "图片_2"]
    assert all(record["per_image"].values())


def test_throughput_measures_every_run(real: Path, tmp_path: Path) -> None:
    options = ["--device", "cpu", "--photos", "6", "--tokens", "12", "--max-pixels", "65536"]
    folders = ["--folder", tmp_path / "photos", "--json", tmp_path / "results.json"]
    results = throughput.main([*map(str, [real, *options, *folders])])
    runs = [run for run in rows.RUNS if run.engine != "vllm"]
    assert [result.photos for result in results] == [6] * len(runs)
    assert results[0].wasted_tokens == 0
    assert all(result.images_per_s > result.groups_per_s > 0 and 0 <= result.waiting < 1 for result in results)
    asked = [(result.slots, run.slots) for result, run in zip(results, runs, strict=True) if run.slots]
    assert all(slots == min(wanted, CPU_SLOTS) for slots, wanted in asked)
    assert all(len(result.thirds) == 3 and result.thirds[0].resident_mib > 50 for result in results)
    twice = next(result for result in results if "twice" in result.name)
    assert twice.useful_tokens_per_s * twice.seconds == pytest.approx(2 * 6 * 12)
    written: dict[str, Any] = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in written["runs"]] == [run.name for run in runs]
    assert {"torch", "transformers", "device", "dtype", "attention"} <= set(written["hardware"])


def test_a_row_that_fails_does_not_lose_the_others(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def short(run: rows.Run, *given: Any) -> rows.Result:
        if run.slots == 64:
            raise torch.cuda.OutOfMemoryError("no memory left")
        return rows.measure(run, *given)

    monkeypatch.setattr(throughput, "measure", short)
    failed, result = throughput.main([*small(real, tmp_path), "--only", "(64|128) slots"])
    assert failed == rows.Failed("continuous, 64 slots", "OutOfMemoryError: no memory left")
    assert isinstance(result, rows.Result)
    assert "failed: OutOfMemoryError: no memory left" in capsys.readouterr().out


def test_plain_generate_writes_what_the_engine_writes(tmp_path: Path) -> None:
    """Each way stands for an image a second; both must do the whole work."""
    settings = EngineSettings(checkpoint="demo", device="cpu", photo=PhotoSettings(max_pixels=131_072))
    photos, lengths = workload.write_photos(tmp_path, 3), [9, 4, 12]
    requests = [Request(number, workload.PROMPT, photo) for number, photo in enumerate(photos)]
    texts = []
    for kind in (forced_length_engines.ForcedLengthTransformers, forced_length_engines.PlainGenerate):
        engine = kind(settings)
        engine.lengths = lengths
        texts.append({one.id: one.text for one in rows.completed(engine, requests)})
        assert (engine.decoded, engine.data_wait_s > 0) == (3 * 12, True)
    assert texts[0] == texts[1]
    assert len(set(texts[0].values())) == 3
    assert engine.model.config._attn_implementation == engine.attn_implementation


VLLM = """
__version__ = "0"


class SamplingParams:
    def __init__(self, *, max_tokens, **_):
        self.max_tokens = max_tokens


class LLM:
    def __init__(self, **settings):
        assert settings["mm_processor_kwargs"]["size"]["longest_edge"] == 65_536
        self.llm_engine = self

    def generate(self, prompts, sampling, use_tqdm):
        assert prompts[0]["prompt"].count("<|image_pad|>") == 1
        assert prompts[0]["multi_modal_data"]["image"].size == (934, 1920)
        return [Answer([0] * one.max_tokens) for one in sampling]

    def reset_mm_cache(self):
        pass

    reset_encoder_cache = reset_mm_cache

    def reset_prefix_cache(self):
        return True


class Answer:
    prompt_token_ids = [1, 2, 3]

    def __init__(self, ids):
        self.token_ids, self.outputs = ids, [self]
"""


def test_vllm_is_measured_where_it_stands(real: Path, tmp_path: Path) -> None:
    """In a process of its own; here on an engine that writes zeros."""
    (tmp_path / "site" / "vllm").mkdir(parents=True)
    (tmp_path / "site" / "vllm" / "__init__.py").write_text(VLLM, encoding="utf-8")
    options = ["--only", "vLLM", "--repeats", "2", "--vllm-path", str(tmp_path / "site")]
    (result,) = throughput.main([*small(real, tmp_path), *options])
    assert isinstance(result, rows.Result), result
    assert (result.photos, len(result.repeats), result.waiting) == (3, 2, None)
    assert result.useful_tokens_per_s * result.seconds == pytest.approx(3 * 4)
    assert result.notes == ("vLLM 0, 3 prompt tokens",)


def small(checkpoint: Path, folder: Path) -> list[str]:
    return [str(checkpoint), "--device", "cpu", "--photos", "3", "--tokens", "4", "--max-pixels", "65536",
            "--folder", str(folder / "photos")]  # fmt: skip


def test_smaller_cards_have_room_for_fewer_answers(tmp_path: Path) -> None:
    """The plan for a 4B checkpoint in bf16 at the default budget, no card needed; weights are counted without any."""
    make_checkpoint.write_checkpoint(tmp_path, "4b", weights=False)
    engine = forced_length_engines.ForcedLengthContinuous(EngineSettings(checkpoint=str(tmp_path), device="cpu"))
    assert round(engine.parameter_count / 1e9, 2) == 4.44
    engine.device, engine.dtype = torch.device("cuda"), torch.bfloat16
    slots = {}
    for run in rows.RUNS:
        if run.card_gib:
            engine.pretended = rows.card_bytes(run.card_gib)
            slots[run.card_gib] = engine.planner.plan(RequestBounds(1_222, 803, 768, scored=False)).slots
    assert slots == {12: 5, 16: 16, 24: 56, 40: 120, 80: 256}


def test_photos_of_a_row_fill_its_budget(tmp_path: Path) -> None:
    for run in rows.RUNS:
        pixels = run.max_pixels or EngineSettings(checkpoint="demo").photo.max_pixels
        assert run.sizes == workload.MIXED or all(width * height >= pixels for width, height in run.sizes)
    photos = workload.write_photos(tmp_path, 7, workload.MIXED)
    for photo, size in zip(photos, [*workload.MIXED, workload.MIXED[0]], strict=True):
        with Image.open(photo) as image:
            assert image.size == size


def test_a_folder_without_weights_is_measured_with_random_ones(bare: Path) -> None:
    settings = EngineSettings(checkpoint=str(bare), device="cpu")
    with pytest.raises(CheckpointError, match="weights are missing, first "):
        _ = TransformersEngine(settings).model
    model = forced_length_engines.ForcedLengthTransformers(settings).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert sum(p.numel() for p in model.parameters()) > 4_000_000


@pytest.mark.parametrize(("engine", "checks"), [("transformers", 6), ("continuous", 9)])
def test_invariance_finds_no_difference_on_a_cpu(real: Path, tmp_path: Path, engine: str, checks: int) -> None:
    report = invariance.main([str(real), "--device", "cpu", "--photos", "5", "--max-new-tokens", "8", "--alone", "2",
                              "--folder", str(tmp_path), "--json", str(tmp_path / "report.json"),
                              "--engine", engine])  # fmt: skip
    assert report["kept"]
    assert [check["differing"] for check in report["checks"]] == [0] * checks
    assert {check["photos"] for check in report["checks"]} == ({5, 2} if engine == "continuous" else {5})
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == json.loads(json.dumps(report))


@pytest.mark.parametrize("alone", ["1", "0"])
def test_invariance_at_a_shape_without_weights_imposes_the_lengths(bare: Path, tmp_path: Path, alone: str) -> None:
    """Against itself only: nothing that random weights write is right or wrong."""
    report = invariance.main([str(bare), "--device", "cpu", "--photos", "4", "--imposed", "9", "--alone", alone,
                              "--max-pixels", "65536", "--folder", str(tmp_path)])  # fmt: skip
    assert report["kept"]
    one_by_one = ["alone"] * int(alone)
    names = ["whole list", "shuffled", *one_by_one, "8 in flight, shuffled", "32 in flight, shuffled"]
    assert [check["name"] for check in report["checks"]] == [
        *names, "interrupted and resumed", "between shapes: half the slots", "between shapes: half the launch",
    ]  # fmt: skip
    assert [check["slots"] for check in report["checks"]] == [16] * (5 + int(alone)) + [8, 16]
    assert [check["allowed"] for check in report["checks"]] == [0] * (5 + int(alone)) + [None, None]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--photos", "0"], "argument --photos: 0: give at least 1"),
        (["--photos", "-3"], "argument --photos: -3: give at least 1"),
        (["--photos", "some"], "argument --photos: invalid number value: 'some'"),
        (["--alone", "-1"], "argument --alone: -1: give at least 0"),
        (["--folder", "file"], "--folder file: File exists. Give a folder"),
        (["--json", "nodir/x.json"], "--json nodir/x.json: No such file or directory. Give a file"),
    ],
)
def test_invariance_refuses_wrong_options_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr(invariance, "checks", None)
    with pytest.raises(SystemExit) as ended:
        invariance.main(["demo", "--photos", "1", "--folder", str(tmp_path / "photos"), *options])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_an_answer_that_depends_on_its_company_breaks_the_promise(engine: TransformersEngine) -> None:
    requests = [Request(at, workload.PROMPT, None, f"photo {at}") for at in range(2)]
    ways = [("one", {0: [1, 2], 1: [3]}, engine), ("other", {0: [1, 4], 1: [3]}, engine)]
    one, other = invariance.against_itself(iter(ways), requests, {})  # type: ignore[arg-type]
    assert one.kept
    assert not other.kept
    assert other.differences == (invariance.Difference("photo 0", 1, None),)
    assert str(other).startswith("BROKEN  cpu float32")
    told = replace(other, allowed=None)
    assert told.kept
    assert str(told).startswith("told    cpu float32")


def test_a_margin_is_what_the_reference_liked_its_token_more(real: Path, tmp_path: Path) -> None:
    """Another token put in by hand, at two places: found there, and less liked."""
    requests = invariance.asked(invariance.draw_photos(tmp_path, 2, 1))
    settings = EngineSettings(checkpoint=str(real), device="cpu", sampling={"max_new_tokens": 4})
    reference = invariance.Reference(settings)
    wanted = reference.answers(requests)
    found = {0: [*wanted[0][:2], wanted[0][2] + 1, 9], 1: wanted[1]}
    ((at, difference),) = invariance.margins(reference, requests, found, wanted)
    assert at == 0
    assert (difference.key, difference.at) == (requests[0].key, 2)
    assert difference.margin
    assert difference.margin > 0


def test_logits_of_both_engines_are_as_far_from_float32(bare: Path, tmp_path: Path) -> None:
    report = logits.main([str(bare), "--device", "cpu", "--photos", "2", "--max-pixels", "65536",
                          "--folder", str(tmp_path), "--json", str(tmp_path / "report.json")])  # fmt: skip
    assert report["kept"]
    assert list(report["distances"]) == ["transformers", "continuous"]
    assert all(0 < found["median"] < 0.05 for found in report["distances"].values())
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == report


def test_logits_that_are_farther_are_told(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = logits.Continuous.logits
    monkeypatch.setattr(
        logits.Continuous, "logits", lambda engine, asked: {at: 1.1 * one for at, one in plain(engine, asked).items()}
    )
    options = ["--device", "cpu", "--photos", "1", "--max-pixels", "65536", "--folder", str(tmp_path)]
    assert not logits.main([str(bare), *options])["kept"]


def test_a_squeezed_run_ends_complete_on_fewer_slots(bare: Path, tmp_path: Path) -> None:
    """Through the child process; only the lack of memory is pretended."""
    size = ["--device", "cpu", "--photos", "6", "--tokens", "3", "--max-pixels", "65536"]
    results = memory_pressure.main(
        [str(bare), *size, "--folder", str(tmp_path), "--json", str(tmp_path / "results.json")]
    )
    assert [(result["run"], result["kept"]) for result in results] == [
        (run, True) for run, _ in memory_pressure.ON_A_CPU
    ]
    assert [result["slots"][0] for result in results] == [16, 4, 16, 16]
    assert [result["slots"][-1] for result in results] == [16, 4, 4, 4]
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8")) == results


def test_a_squeeze_that_nothing_came_of_proves_nothing() -> None:
    result = {"run": "size", "by": "hog", "complete": True, "short": 0, "come": False, "slots": [8], "answered": [0],
              "seconds": 1.0, "failed": {}, "error": ""}  # fmt: skip
    assert "NOTHING RAN SHORT (the moment never came)" in memory_pressure.told(result)
    lines = iter(['{"moment": "size", "wanted": 9, "leave": 3}', json.dumps(result)])
    (followed,) = memory_pressure.follow(lines, lambda leave: 10 - leave, lambda: None)
    assert followed["taken"] == 7


def test_a_threshold_is_held_against_the_other_half() -> None:
    (result,) = threshold_guarantee.main(
        ["demo", "--device", "cpu", "--jobs", "40", "--splits", "3", "--limits", "0.9"]
    )
    assert (result["splits"], result["P found"]) == (3, 3)
    assert 0 <= result["held"] <= 3
    assert 0 <= result["false blocks, mean"] <= 1


def test_the_code_for_trl_finds_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it but the trainer itself."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    trl_step.write_dataset(tmp_path, 8)
    trl_step.filled(trl_step.snippet(), trl_step.HERE)  # each of them stands there once
    code, _, trainer = trl_step.snippet().partition("settings = ")
    names: dict[str, Any] = {}
    exec("".join(line for line in code.splitlines(keepends=True) if "trl" not in line), names)
    data = names["data"]
    assert data.column_names == ["prompt", "solution", "group_id", "mission", "summaries", "image_paths"]
    assert [[message["role"] for message in prompt] for prompt in data["prompt"]] == [["system", "user"]] * len(data)
    answers = [[{"role": "assistant", "content": f"{solution}\n理由: 齐全"}] for solution in data["solution"]]
    columns = {name: data[name] for name in data.column_names if name != "prompt"}
    assert "reward_funcs=[label, format_]" in trainer
    for reward in (names["label"], names["format_"]):
        assert reward(prompts=data["prompt"], completions=answers, trainer_state=None, **columns) == [1.0] * len(data)


@pytest.mark.train
@pytest.mark.skipif(find_spec("trl") is None, reason="trl is not installed: pip install 'yanshou[train]'")
def test_the_code_for_trl_runs_in_the_trl_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    steps = trl_step.main([])
    assert [step["step"] for step in steps] == [1, 2, 3]


def test_the_host_side_is_measured(tmp_path: Path) -> None:
    results = host.main(["--groups", "12", "--folder", str(tmp_path / "host")])
    assert list(results) == ["discovery", "the whole run", "the same again, all done"]
    assert all(result["seconds"] > 0 and result["largest_mib"] > 0 for result in results.values())
    assert not (tmp_path / "host").exists()
