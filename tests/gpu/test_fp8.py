"""FP8 on a GPU: kernels against float32 on the CPU, products, and no row that another row changes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support.gpu import BF16, CUDA, answers, demo, on_gpu, texts
from support.requests import drawn_jobs, drawn_photos
from torch import Tensor, nn
from transformers.activations import GELUTanh, SiLUActivation
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm

from yanshou.engines.continuous import ops
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.fp8.activations import Activations, Fp8Rows
from yanshou.engines.continuous.fp8.linear import Fp8Linear
from yanshou.engines.device import lacks_fp8
from yanshou.settings import EngineSettings

pytestmark = [
    *on_gpu, pytest.mark.skipif(CUDA and bool(lacks_fp8(torch.device("cuda", 0))), reason="this GPU has no FP8")
]  # fmt: skip

ROWS = 37
EPS = 1e-6
NEXT_STEPS = 5e-3  # share of values that may be the next number of e4m3: sums in another order
WIDTHS = (64, 80, 2_560, 9_728)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random(*shape: int) -> Tensor:
    """Numbers that bf16 holds, on the GPU."""
    return torch.randn(shape, device="cuda").to(BF16)


def weighted(norm: nn.Module) -> Any:
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm.to("cuda", BF16).requires_grad_(False)


def ordered(values: Tensor) -> Tensor:
    """e4m3 as integers in the order of the numbers."""
    bits = values.view(torch.uint8).int()
    return torch.where(bits < 128, bits, 128 - bits)


def assert_rows(found: Activations, exact: Tensor) -> None:
    """FP8 rows are those that torch rounds on the CPU, but for few values that are one step away."""
    assert isinstance(found, Fp8Rows)
    expected = Fp8Rows.of(exact.cpu())
    torch.testing.assert_close(found.scales.cpu(), expected.scales, rtol=1e-4, atol=0)
    steps = (ordered(found.values.cpu()) - ordered(expected.values)).abs()
    assert int(steps.max()) <= 1
    assert float(steps.float().mean()) < NEXT_STEPS


def rms(x: Tensor, norm: Any) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon) * norm.weight.float()


def bits(rows: Activations) -> list[Tensor]:
    """What two results have in common if they are the same to the bit."""
    if isinstance(rows, Fp8Rows):
        return [rows.values.view(torch.uint8), rows.scales.view(torch.int32)]
    return [rows.view(torch.int16)]


def assert_rows_are_independent(work: Callable[[Tensor], Activations], x: Tensor) -> None:
    """A row is the same to the bit in another order, beside others, and beside NaN, which stays in its row."""
    expected = bits(work(x.clone()))
    order = torch.randperm(len(x), device="cuda")
    for one, other in zip(bits(work(x[order].clone())), expected, strict=True):
        assert torch.equal(one, other[order])
    spoilt = x.clone()
    spoilt[1], spoilt[2, 3], spoilt[3, 5] = 1e4, torch.nan, torch.inf
    result = work(spoilt)
    for one, other in zip(bits(result), expected, strict=True):
        assert torch.equal(one[4:], other[4:])
        assert torch.equal(one[:1], other[:1])
    numbers = result.dequantized() if isinstance(result, Fp8Rows) else result
    assert numbers.isnan().any(-1).nonzero().flatten().tolist() in ([2], [2, 3])


@pytest.mark.parametrize("width", WIDTHS)
def test_rms_norm(width: int) -> None:
    norm, x, added = weighted(Qwen3VLTextRMSNorm(width, EPS)), random(ROWS, width), random(ROWS, width)
    assert_rows(ops.rms_norm(x, norm, fp8=True), rms(x, norm))
    summed = x + added
    assert_rows(ops.rms_norm(residual := x.clone(), norm, added, fp8=True), rms(summed, norm))
    assert torch.equal(residual, summed)
    found = ops.rms_norm(residual := x.clone(), norm, added)
    assert torch.equal(residual, summed)
    assert torch.equal(found, ops.rms_norm(summed, norm))  # as the kernel of 16 bits
    assert_rows_are_independent(lambda x: ops.rms_norm(x, norm, fp8=True), x)
    assert_rows_are_independent(lambda x: ops.rms_norm(x, norm, added[:1].expand(len(x), -1).contiguous()), x)


@pytest.mark.parametrize("width", WIDTHS)
def test_layer_norm(width: int) -> None:
    norm, bias = weighted(nn.LayerNorm(width, EPS)), random(width)
    x, added = random(ROWS, width) + 3, random(ROWS, width)
    for more in (None, added):
        summed = (x.float() + bias.float() + (0 if more is None else more.float())).to(BF16)
        found = ops.layer_norm(residual := x.clone(), norm, bias, more, fp8=True)
        exact = F.layer_norm(summed.float(), (width,), norm.weight.float(), norm.bias.float(), EPS)
        assert torch.equal(residual, summed)
        assert_rows(found, exact)
    assert_rows_are_independent(lambda x: ops.layer_norm(x, norm, bias, fp8=True), x)


@pytest.mark.parametrize("width", [48, 1_500, 4_304, 9_728, 25_600])
def test_activations_and_rows(width: int) -> None:
    x, bias, gate_up = 3 * random(ROWS, width), random(width), 3 * random(ROWS, 2 * width)
    gate, up = gate_up.float().chunk(2, dim=-1)
    assert_rows(ops.act_and_mul(gate_up, SiLUActivation(), fp8=True), F.silu(gate) * up)
    assert_rows(ops.bias_gelu(x, bias, GELUTanh()), F.gelu(x.float() + bias.float(), approximate="tanh"))
    assert_rows(ops.quantize_rows(x), x)
    assert_rows_are_independent(lambda x: ops.act_and_mul(x, SiLUActivation(), fp8=True), gate_up)
    assert_rows_are_independent(lambda x: ops.bias_gelu(x, bias, GELUTanh()), x)
    assert_rows_are_independent(ops.quantize_rows, x)


def test_rows_of_zeros_and_of_very_small_and_large_numbers_have_scales_of_their_own() -> None:
    x = random(4, 80)
    x[0], x[1], x[2] = 0, x[1] * 1e-8, x[2] * 1e30
    assert_rows(ops.quantize_rows(x), x)


SHAPES = [(64, 48), (6_144, 2_560), (2_560, 4_096), (19_456, 2_560), (2_560, 9_728), (4_304, 1_152)]  # outputs, inputs


@pytest.mark.parametrize("rows", [1, 64, 256, 1_000])
@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_a_product_is_that_of_the_same_values_in_float32(outputs: int, inputs: int, rows: int) -> None:
    linear = nn.Linear(inputs, outputs, device="cuda", dtype=BF16).requires_grad_(False)
    layer, x = Fp8Linear.of(linear), random(rows, inputs)
    given = ops.quantize_rows(x)
    exact = given.dequantized() @ (layer.values.float() * layer.scales).t() + linear.bias.float()
    found = layer(x).float()
    assert float((found - exact).norm() / exact.norm()) < 5e-3  # bf16 alone: 2e-3
    in_16_bits = linear(x).float()
    assert float((found - in_16_bits).norm() / in_16_bits.norm()) < 0.05


@pytest.mark.parametrize(("outputs", "inputs"), [(2_048, 6_144), (2_560, 9_728), (4_096, 12_288), (5_120, 25_600)])
def test_any_number_of_slots_has_a_product(outputs: int, inputs: int) -> None:
    """cuBLAS refuses some numbers of rows with wide inputs."""
    layer = Fp8Linear.of(nn.Linear(inputs, outputs, device="cuda", dtype=BF16).requires_grad_(False))
    x = random(256, inputs)
    expected = layer(x).float()
    for rows in (*range(1, 17), *range(24, 256, 8), 255):
        found = layer(x[:rows]).float()
        assert found.shape == (rows, outputs)
        assert float((found - expected[:rows]).norm() / expected[:rows].norm()) < 5e-3


def test_a_product_of_one_row_can_be_recorded_in_a_cuda_graph() -> None:
    """As a decode step with one slot is."""
    layer = Fp8Linear.of(nn.Linear(9_728, 2_560, device="cuda", dtype=BF16).requires_grad_(False))
    x = random(1, 9_728)
    expected, graph = layer(x), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = layer(x)
    graph.replay()
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_a_row_of_a_product_depends_on_no_other_row(outputs: int, inputs: int) -> None:
    linear = nn.Linear(inputs, outputs, bias=False, device="cuda", dtype=BF16).requires_grad_(False)
    layer = Fp8Linear.of(linear)
    for rows in (64, 256, 1_000):
        x = random(rows, inputs)
        expected, order = layer(x), torch.randperm(rows, device="cuda")
        assert torch.equal(layer(x[order]), expected[order])
        x[1], x[2] = 1e4, torch.nan
        found = layer(x)
        assert torch.equal(found[3:], expected[3:])
        assert torch.equal(found[:1], expected[:1])
        assert found.isnan().any(-1).nonzero().flatten().tolist() == [2]


def demo_in_fp8(**other: Any) -> EngineSettings:
    return demo("bfloat16", **other).model_copy(update={"quantize": "fp8"})


def test_the_demo_checkpoint_answers_nearly_as_in_16_bits() -> None:
    """The vision tower, prefill, decode steps in a CUDA graph, and scored continuations at once."""
    photos, jobs = drawn_photos(24), drawn_jobs(12)
    engine = ContinuousEngine(demo_in_fp8(max_new_tokens=48))
    found, plain = answers(engine, photos), answers(ContinuousEngine(demo("bfloat16", max_new_tokens=48)), photos)
    assert sum(text == texts(plain)[at] for at, text in texts(found).items()) >= len(photos) - 1
    verdicts = texts(answers(ContinuousEngine(demo_in_fp8(max_new_tokens=16)), jobs))
    expected = texts(answers(ContinuousEngine(demo("bfloat16", max_new_tokens=16)), jobs))
    first_lines = [{at: text.splitlines()[0] for at, text in each.items()} for each in (verdicts, expected)]
    assert sum(line == first_lines[1][at] for at, line in first_lines[0].items()) >= len(jobs) - 1


def test_an_answer_in_fp8_depends_on_no_other_photo() -> None:
    photos = drawn_photos(24)
    engine = ContinuousEngine(demo_in_fp8())
    expected = texts(answers(engine, photos))
    assert texts(answers(engine, photos[::-1])) == expected
    alone = texts(answers(engine, photos[5:6]))
    assert alone == {5: expected[5]}
