"""The benchmarks: every script runs, and the figures it prints are right."""

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import budget
import dataset_checks
import forced_length_engines
import host
import invariance
import logits
import make_checkpoint
import memory_pressure
import products
import quality
import rows
import scale
import threshold_guarantee
import throughput
import trl_step
import two_gpus
import workload

from yanshou.engines import ENGINES, Request
from yanshou.engines.continuous.capacity import RequestBounds
from yanshou.engines.continuous.fp8.plan import Fp8Plan
from yanshou.engines.loading import load_weights
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import CheckpointError
from yanshou.settings import EngineSettings, PhotoSettings

pytestmark = pytest.mark.benchmarks

FORCED = ENGINES.pop("forced")  # which two_gpus makes known; other tests of this process are about the shipped ones


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real vocabulary, 151,669 tokens, and a few million weights. Not to be written to."""
    folder = tmp_path_factory.mktemp("checkpoint") / "real"
    make_checkpoint.write_checkpoint(folder, "tiny", weights=True)
    return folder


@pytest.fixture(scope="module")
def bare(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder without weights. Not to be written to."""
    folder = tmp_path_factory.mktemp("checkpoint") / "bare"
    folder.mkdir()
    for path in real.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "model.safetensors").unlink()
    make_checkpoint.save_file({}, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the photos of the workload, which are written once."""
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def engine(real: Path) -> TransformersEngine:
    return TransformersEngine(EngineSettings(checkpoint=str(real), device="cpu"))


def small(checkpoint: Path, photos: Path) -> list[str]:
    """Options of a run of three photos and four tokens each."""
    return [str(checkpoint), "--device", "cpu", "--photos", "3", "--tokens", "4", "--max-pixels", "65536",
            "--folder", str(photos)]  # fmt: skip


# ---- checkpoint and workload ----


def test_the_vocabulary_is_the_real_one(engine: TransformersEngine) -> None:
    tokenizer = engine.processor.tokenizer
    assert len(tokenizer) == 151_669
    assert tokenizer("你好")["input_ids"] == [108_386]
    assert tokenizer("Hello world")["input_ids"] == [9_707, 1_879]
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|image_pad|>", "<think>")
    assert tokenizer.convert_tokens_to_ids(names) == [151_643, 151_644, 151_645, 151_652, 151_655, 151_667]
    for text in (workload.SYSTEM, "BBU设备/华为,显示完整×1 🔩\n\n  x's 2025-11-22", "ﷺ é\u0000"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_photos_and_prompts_have_the_size_that_the_workload_names(engine: TransformersEngine, photos: Path) -> None:
    photo = workload.write_photos(photos, 3)[0]
    assert 600_000 < photo.stat().st_size < 800_000
    prepared = engine.prepare(Request(0, workload.PROMPT, photo))
    assert len(prepared.ids) == 939
    assert int((prepared.ids == engine.processor.image_token_id).sum()) == 741


def test_groups_and_answers_have_the_sizes_that_the_workload_names() -> None:
    lengths = sorted(workload.answer_lengths(10_000))
    assert [round(lengths[at], -1) for at in (5_000, 9_500, 9_900)] == [50, 110, 160]
    assert (lengths[0], lengths[-1]) == (8, 200)
    sizes = workload.group_sizes(10_000)
    assert sum(sizes) == 10_000
    assert 3.3 < 10_000 / len(sizes) < 3.6
    assert max(set(sizes), key=sizes.count) == 3


def test_photos_of_every_row_fill_its_pixel_budget() -> None:
    for run in rows.RUNS:
        pixels = run.max_pixels or PhotoSettings().max_pixels
        assert run.sizes == workload.MIXED or all(width * height >= pixels for width, height in run.sizes)


def test_a_folder_without_weights_gets_random_weights(bare: Path) -> None:
    settings = EngineSettings(checkpoint=str(bare), device="cpu")
    with pytest.raises(CheckpointError, match="weights are missing, first "):
        _ = TransformersEngine(settings).model
    model = forced_length_engines.ForcedLengthTransformers(settings).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert sum(parameter.numel() for parameter in model.parameters()) > 4_000_000


# ---- throughput ----


def test_throughput_measures_rows_of_each_kind(real: Path, photos: Path, tmp_path: Path) -> None:
    names = ("continuous, answers twice as long", "continuous, 5,000 photos", "continuous, 8 slots",
             "continuous FP8, 8 slots", "one by one", "batch ≤ 8 inside a group")  # fmt: skip
    only = r"^continuous, (.*twice|5,000)| 8 slots|one by one|^batch ≤"
    options = ["--only", only, "--json", str(tmp_path / "results.json")]
    results = throughput.main([*small(real, photos), *options])
    assert [(result.name, result.photos) for result in results] == [(name, 3) for name in names]
    assert all(result.images_per_s >= result.groups_per_s > 0 and 0 <= result.waiting < 1 for result in results)
    twice, long, slots, in_fp8, *_ = results
    assert twice.useful_tokens_per_s * twice.seconds == pytest.approx(2 * 3 * 4)
    assert len(long.thirds) == 3
    assert slots.slots == in_fp8.slots == 8
    assert in_fp8.notes[1] == "FP8 in every product"
    written: dict[str, Any] = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in written["runs"]] == list(names)
    assert {"torch", "transformers", "device", "dtype", "attention"} <= set(written["hardware"])


def test_a_row_that_fails_shows_its_error_and_the_others_are_measured(
    real: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(run: rows.Run, *given: Any) -> rows.Result:
        if run.slots == 64:
            raise torch.cuda.OutOfMemoryError("no memory left")
        *_, repeats, _ = given
        return rows.result(run, [rows.Pass(2.0, 6, 60, 0.5)] * repeats, 1.0, (0, 0), 0.0, run.slots, [])

    monkeypatch.setattr(throughput, "measure", measure)
    options = ["--only", "^continuous, (64|128) slots", "--repeats", "3"]
    failed, measured = throughput.main([*small(real, photos), *options])
    assert failed == rows.Failed("continuous, 64 slots", "OutOfMemoryError: no memory left")
    assert isinstance(measured, rows.Result)
    assert (measured.images_per_s, measured.useful_tokens_per_s, measured.waiting) == (3.0, 30.0, 0.25)
    assert len(measured.repeats) == 3
    assert "failed: OutOfMemoryError: no memory left" in capsys.readouterr().out


def test_plain_generate_writes_what_the_engine_writes(photos: Path) -> None:
    """So both rows are about the same work."""
    settings = EngineSettings(checkpoint="demo", device="cpu", photo=PhotoSettings(max_pixels=131_072))
    lengths, texts = [9, 4, 12], []
    requests = [Request(at, workload.PROMPT, photo) for at, photo in enumerate(workload.write_photos(photos, 3))]
    for kind in (forced_length_engines.ForcedLengthTransformers, forced_length_engines.PlainGenerate):
        engine = kind(settings)
        engine.lengths = lengths
        texts.append({answer.id: answer.text for answer in rows.completed(engine, requests)})
        assert (engine.decoded, engine.data_wait_s > 0) == (3 * 12, True)
    assert texts[0] == texts[1]
    assert len(set(texts[0].values())) == 3
    assert engine.model.config._attn_implementation == engine.attn_implementation


def test_smaller_cards_have_fewer_slots(bare: Path, tmp_path: Path) -> None:
    """The plan for a 4B checkpoint at the default budget. Needs no card; weights are counted without any."""
    for path in bare.iterdir():
        if path.name != "config.json":
            (tmp_path / path.name).symlink_to(path)
    tokenizer = make_checkpoint.Qwen2TokenizerFast.from_pretrained(bare)
    config = make_checkpoint.model_config(tokenizer, "4b")
    config.save_pretrained(tmp_path)
    engine = forced_length_engines.ForcedLengthContinuous(EngineSettings(checkpoint=str(tmp_path), device="cpu"))
    assert round(engine.parameter_count / 1e9, 2) == 4.44
    engine.device, engine.dtype = torch.device("cuda"), torch.bfloat16
    bounds = RequestBounds(1_222, 803, 768, scored=False)
    in_fp8 = Fp8Plan(torch.bfloat16)
    slots = {}
    for run in rows.RUNS:
        if run.card_gib:
            engine.simulated_memory = rows.card_bytes(run.card_gib)
            engine.fp8 = in_fp8 if run.quantize == "fp8" else None
            slots[run.quantize, run.card_gib] = engine.planner.plan(bounds).slots
    assert list(slots.values()) == [5, 16, 56, 120, 256, 24, 40, 80, 144, 256]


VLLM = """
__version__ = "0"


class SamplingParams:
    def __init__(self, *, max_tokens, **_):
        self.max_tokens = max_tokens


class LLM:
    def __init__(self, **settings):
        assert settings["mm_processor_kwargs"]["size"]["longest_edge"] == 65_536
        assert settings["quantization"] == "fp8"
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


def test_vllm_is_measured_in_its_own_process(real: Path, photos: Path, tmp_path: Path) -> None:
    """Here a fake vLLM that writes zeros."""
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "__init__.py").write_text(VLLM, encoding="utf-8")
    (result,) = throughput.main(
        [*small(real, photos), "--only", "vLLM FP8", "--repeats", "2", "--vllm-path", str(tmp_path)]
    )
    assert isinstance(result, rows.Result), result
    assert (result.photos, len(result.repeats), result.waiting) == (3, 2, None)
    assert result.useful_tokens_per_s * result.seconds == pytest.approx(3 * 4)
    assert result.notes == ("vLLM 0, 3 prompt tokens",)


# ---- FP8 ----


def test_checkpoints_in_published_formats_of_fp8_are_loaded(real: Path, tmp_path: Path) -> None:
    """The stored values × scales are the weights but for their rounding, 2.7 % of their norm."""
    tokenizer = make_checkpoint.Qwen2TokenizerFast.from_pretrained(real)
    config = make_checkpoint.model_config(tokenizer, "tiny")
    expected = dict(make_checkpoint.random_weights(config, None))
    for name in ("blocks", "channels"):
        config.quantization_config = make_checkpoint.FP8[name]
        config.save_pretrained(tmp_path / name)
        make_checkpoint.write_shards(tmp_path / name, make_checkpoint.random_weights(config, name))
        loaded = load_weights(tmp_path / name, torch.float32, "eager").state_dict()
        for key, weight in expected.items():
            distance = float((loaded[key] - weight.float()).norm() / weight.float().norm().clamp(min=1))
            in_fp8 = ".language_model.layers." in key and key.endswith("proj.weight")
            assert (0.01 < distance < 0.03) if in_fp8 else distance == 0, key


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would run")
def test_the_time_of_kernels_needs_a_gpu(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        budget.main([str(bare), "--quantize", "fp8"])
    assert capsys.readouterr().err.endswith("error: it times kernels on a GPU, and torch finds none here\n")


def test_rounding_has_one_scale_per_block() -> None:
    x = torch.tensor([[448.0, 17.0, 0.5, 0.3], [1.0, 2.0, 4.0, 8.0]])
    # of e4m3 in [16, 32) every second number, in [256, 448] every 32nd; 0.3 is between 0.28125 and 0.3125
    assert logits.rounded(x, 1, 4)[0].tolist() == [448, 16, 0.5, 0.3125]
    assert logits.rounded(x, 1, 2)[0, 2:].tolist() == pytest.approx([0.5, 0.5 * 256 / 448])
    assert logits.rounded(x, 2, 3).shape == x.shape


def test_products_are_those_of_the_shape() -> None:
    """Per photo: of the vision tower 1.8 TFLOP, of a prefill batch 5.7, of decode steps 0.4."""
    text, vision = make_checkpoint.SHAPES["4b"]
    config = make_checkpoint.Qwen3VLConfig(text_config=text, vision_config=vision)
    tflop: dict[str, float] = {}
    for product in products.products(config):
        tflop[product.part] = tflop.get(product.part, 0) + product.tflop * product.per_photo
    assert tflop == pytest.approx({"vision": 1.80, "prefill": 5.67, "decode": 0.40}, rel=0.01)


def test_a_group_that_only_one_run_has_counts_as_different() -> None:
    assert quality.differing({("甲", "1"): "pass", ("甲", "2"): "fail"}, {("甲", "1"): "pass"}) == 1
    row = quality.Row("all in FP8", 3_400, 17, 1_000, 0.999, -0.0009, 2, 1, 0.02, ("甲 1",), 9.0)
    assert row.kept
    assert str(row).startswith("kept    all in FP8                      17 of 3,400 lines differ (0.50%)")
    for worse in ({"lines": 18}, {"f1_change": 0.0011}, {"flips": 3}):
        assert not replace(row, **worse).kept


# ---- invariance and logits ----


def test_invariance_finds_no_difference_on_a_cpu(real: Path, tmp_path: Path) -> None:
    report = invariance.main([str(real), "--device", "cpu", "--photos", "3", "--max-new-tokens", "4", "--alone", "1",
                              "--folder", str(tmp_path), "--json", str(tmp_path / "report.json")])  # fmt: skip
    assert report["kept"]
    assert [check["differing"] for check in report["checks"]] == [0] * 9
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == json.loads(json.dumps(report))


def test_invariance_of_a_folder_without_weights_compares_the_engine_with_itself(bare: Path, photos: Path) -> None:
    """What random weights answer cannot be right or wrong."""
    report = invariance.main([str(bare), "--device", "cpu", "--photos", "3", "--imposed", "4", "--alone", "0",
                              "--max-pixels", "65536", "--folder", str(photos)])  # fmt: skip
    assert report["kept"]
    assert [(check["name"], check["slots"], check["allowed"]) for check in report["checks"]] == [
        ("whole list", 16, 0), ("shuffled", 16, 0), ("8 in flight, shuffled", 16, 0),
        ("32 in flight, shuffled", 16, 0), ("interrupted and resumed", 16, 0),
        ("between shapes: half the slots", 8, None), ("between shapes: half the prefill batch", 16, None),
    ]  # fmt: skip


def test_an_answer_that_depends_on_the_batch_breaks_the_promise(engine: TransformersEngine) -> None:
    requests = [Request(at, workload.PROMPT, None, f"photo {at}") for at in range(2)]
    conditions = [("one", {0: [1, 2], 1: [3]}, engine), ("other", {0: [1, 4], 1: [3]}, engine)]
    one, other = invariance.against_itself(iter(conditions), requests, {})  # type: ignore[arg-type]
    assert one.kept
    assert not other.kept
    assert other.differences == (invariance.Difference("photo 0", 1, None),)
    assert str(other).startswith("BROKEN  cpu float32")
    reported = replace(other, allowed=None)
    assert reported.kept
    assert str(reported).startswith("report  cpu float32")


def test_a_margin_is_how_much_the_reference_preferred_its_own_token(real: Path, tmp_path: Path) -> None:
    requests = invariance.make_requests(invariance.draw_photos(tmp_path, 2, 1))
    settings = EngineSettings(checkpoint=str(real), device="cpu", sampling={"max_new_tokens": 4})
    reference = invariance.Reference(settings)
    expected = reference.answers(requests)
    found = {0: [*expected[0][:2], expected[0][2] + 1, 9], 1: expected[1]}
    ((at, difference),) = invariance.margins(reference, requests, found, expected)
    assert (at, difference.key, difference.at) == (0, requests[0].key, 2)
    assert difference.margin
    assert difference.margin > 0


def test_logits_of_both_engines_are_equally_far_from_float32(bare: Path, photos: Path, tmp_path: Path) -> None:
    report = logits.main([str(bare), "--device", "cpu", "--photos", "2", "--max-pixels", "65536",
                          "--folder", str(photos), "--json", str(tmp_path / "report.json"),
                          "--quantize", "fp8"])  # fmt: skip
    assert report["kept"]
    medians = {name: found["median"] for name, found in report["distances"].items()}
    in_16_bits = {name: medians.pop(name) for name in ("transformers", "continuous")}
    assert all(0 < median < 0.01 for median in in_16_bits.values())
    assert len(medians) == 6
    assert all(0.01 < median < 0.05 for median in medians.values())
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == report


# ---- memory pressure, thresholds, TRL, host ----


def test_a_run_under_memory_pressure_ends_complete_with_fewer_slots(
    bare: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parent and child in one process. Out-of-memory is simulated."""
    monkeypatch.setattr(memory_pressure, "await_parent", lambda: None)
    memory_pressure.main([*small(bare, photos), "--photos", "6", "--only", "size simulated", "--child"])
    lines = iter(capsys.readouterr().out.splitlines())
    (result,) = memory_pressure.follow(lines, lambda leave: leave, lambda: None)
    assert (result["run"], result["answered"], result["failed"]) == ("size", list(range(6)), {})
    assert result["out_of_memory"] == 2
    assert (result["slots"][0], result["slots"][-1]) == (16, 4)


def test_a_run_without_out_of_memory_proves_nothing() -> None:
    result = {"run": "size", "means": "hog", "complete": True, "out_of_memory": 0, "reached": False, "slots": [8],
              "answered": [0], "seconds": 1.0, "failed": {}, "error": ""}  # fmt: skip
    assert "NO OUT-OF-MEMORY (the moment was never reached)" in memory_pressure.summary(result)
    lines = iter(['{"moment": "size", "needed": 9, "leave": 3}', json.dumps(result)])
    (followed,) = memory_pressure.follow(lines, lambda leave: 10 - leave, lambda: None)
    assert followed["taken"] == 7


def test_promises_are_checked_for_every_mission_judge_side_and_part() -> None:
    found = threshold_guarantee.judged("demo", jobs=8, seed=0, device="cpu", batch_size=8)
    assert [len(jobs) for jobs in found.values()] == [2, 2, 2, 2]
    rng = np.random.default_rng(0)
    logits = rng.normal([[2.0], [-2.0]], 1.5, (2, 150))
    drawn = {"甲": [(label == 0, float(logit)) for label in (0, 1) for logit in logits[label]]}
    results = list(threshold_guarantee.cells(drawn, limit=0.15, rounds=40, seed=0))
    assert len(results) == 3 * 2 * 2
    assert all(result["kept"] for result in results)
    assert [result["AUC"] for result in results[::4]] == sorted(
        (result["AUC"] for result in results[::4]), reverse=True
    )
    assert all(result["thresholds"] == 40 for result in results[:8])
    assert len(threshold_guarantee.table(results).splitlines()) == 2 + 3 * 2


def test_a_promise_that_is_broken_too_often_is_seen() -> None:
    """Of 200 rounds, fewer than 179 hold less than once in a thousand times if the promise is true."""
    assert threshold_guarantee.counted([True] * 150 + [None] * 29 + [False] * 21) == {
        "rounds": 200, "thresholds": 171, "held": 179, "at least": 179, "kept": True,
    }  # fmt: skip
    assert not threshold_guarantee.counted([True] * 178 + [False] * 22)["kept"]


def test_the_code_for_trl_finds_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the trainer itself."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    trl_step.write_dataset(tmp_path, 8)
    trl_step.filled(trl_step.snippet(), trl_step.HERE)  # each placeholder occurs once
    code, _, trainer = trl_step.snippet().partition("settings = ")
    names: dict[str, Any] = {}
    exec("".join(line for line in code.splitlines(keepends=True) if "trl" not in line), names)
    data = names["data"]
    assert data.column_names == ["prompt", "solution", "group_id", "mission", "summaries", "image_paths"]
    assert [[message["role"] for message in prompt] for prompt in data["prompt"]] == [["system", "user"]] * len(data)
    answers = [[{"role": "assistant", "content": f"{solution}\n理由: 齐全"}] for solution in data["solution"]]
    columns = {name: data[name] for name in data.column_names if name != "prompt"}
    assert "reward_funcs=[label, format_, grounded]" in trainer
    for reward in (names["label"], names["format_"]):
        assert reward(prompts=data["prompt"], completions=answers, trainer_state=None, **columns) == [1.0] * len(data)
    assert names["grounded"](completions=answers, trainer_state=None, **columns) == [0.0] * len(
        data
    )  # 齐全 names nothing


@pytest.mark.train
@pytest.mark.skipif(find_spec("trl") is None, reason="trl is not installed: pip install 'yanshou[train]'")
def test_the_code_for_trl_runs_in_the_installed_trl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    steps = trl_step.main([])
    assert [step["step"] for step in steps] == [1, 2, 3]


def test_the_host_side_is_measured(tmp_path: Path) -> None:
    results = host.main(["--groups", "12", "--folder", str(tmp_path / "host")])
    assert list(results) == ["discovery", "the whole run", "the same again, all done"]
    assert all(result["seconds"] > 0 and result["largest_mib"] > 0 for result in results.values())
    assert not (tmp_path / "host").exists()


# ---- two GPUs ----


def test_a_run_of_two_gpus_answers_with_lengths_by_photo_and_valid_lines(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "forced", FORCED)
    options = ["speed", str(bare), "--device", "cpu", "--photos", "5", "--files", "2", "--tokens", "4"]
    given = two_gpus.parsed([*options, "--max-pixels", "65536", "--folder", str(tmp_path)])
    two_gpus.write_work(given)
    vars(given).update(workers=None, kill_after=None, forced=True, work="in", output_dir=given.folder / "out")
    result = two_gpus.run(given)
    assert (result["photos"], len(result["thirds"])) == (5, 3)
    assert result["images_per_s"] > 0
    assert len(list((given.folder / "half").rglob("*.jpeg"))) == 2
    lines = (given.folder / "out/in/挡风板安装检查_stage_a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [len(json.loads(line)["images"]) for line in lines] == workload.group_sizes(5)


# ---- scale ----


def test_the_memory_of_a_driver_is_measured_in_a_run_and_in_its_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (result,) = scale.main(["memory", "--groups", "4", "--folder", str(tmp_path / "scale")])
    assert result["groups"] == 4
    assert min(result["whole"], result["again"]) > 1
    assert "        4 groups: peak " in capsys.readouterr().out


def test_the_cards_checks_find_flipped_labels_and_a_planted_shortcut() -> None:
    result = dataset_checks.check(groups=300, flipped=0.1, twice=0.2, seeds=2)
    assert result["covered"] == "2 of 2"
    assert result["planted shortcut named"] == "8 of 8"
    assert result["suspicious without"] == 0
