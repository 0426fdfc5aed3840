"""The products of a layer: in 16 bits as torch computes them, in FP8 with what is added left to the next norm."""

import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers.activations import GELUTanh

from yanshou.engines.continuous import products
from yanshou.engines.continuous.fp8.activations import Fp8Rows
from yanshou.engines.continuous.fp8.linear import Fp8Linear
from yanshou.engines.continuous.products import Fp8Product, PlainProduct, block_products, layer_products

HIDDEN, HEADS, INTERMEDIATE = 32, 48, 64  # outputs of q; k and v have a third of them


def a_layer(bias: bool = False) -> Any:
    """A language layer in bf16."""
    torch.manual_seed(0)
    q, k, v, o = (
        nn.Linear(*shape, bias=bias).bfloat16()
        for shape in ((HIDDEN, HEADS), (HIDDEN, HEADS // 3), (HIDDEN, HEADS // 3), (HEADS, HIDDEN))
    )
    gate, up, down = (
        nn.Linear(*shape, bias=False).bfloat16()
        for shape in ((HIDDEN, INTERMEDIATE), (HIDDEN, INTERMEDIATE), (INTERMEDIATE, HIDDEN))
    )
    return SimpleNamespace(
        self_attn=SimpleNamespace(q_proj=q, k_proj=k, v_proj=v, o_proj=o),
        mlp=SimpleNamespace(gate_proj=gate, up_proj=up, down_proj=down),
        input_layernorm=nn.LayerNorm(HIDDEN),
    )


def in_fp8(layer: Any) -> Any:
    """The layer with every linear in FP8."""
    parts = {name: vars(part) for name, part in vars(layer).items() if isinstance(part, SimpleNamespace)}
    linears = {
        name: SimpleNamespace(**{own: Fp8Linear.of(linear) for own, linear in part.items()})
        for name, part in parts.items()
    }
    return SimpleNamespace(**{**vars(layer), **linears})


def bf16(*shape: int) -> torch.Tensor:
    return torch.randn(shape).bfloat16()


@torch.inference_mode()
def test_products_of_16_bits_are_torch_s_own() -> None:
    layer = a_layer(bias=True)
    attention, x, other = layer.self_attn, bf16(5, HIDDEN), bf16(5, 3, HEADS // 3)
    qkv = torch.cat([attention.q_proj(x), attention.k_proj(x), attention.v_proj(x)], dim=1)
    products = layer_products(layer)
    assert not any(getattr(products, name).takes_fp8 for name in ("qkv", "o", "gate_up", "down"))
    assert torch.allclose(products.qkv(x), qkv, rtol=0.01, atol=0.01)
    expected = torch.addmm(x, other.flatten(1), attention.o_proj.weight.t()) + attention.o_proj.bias
    assert products.o.residual(x, other) is None
    assert torch.equal(x, expected)


@torch.inference_mode()
def test_fused_weights_are_held_once() -> None:
    layer = a_layer()
    gate_up = layer_products(layer).gate_up
    assert isinstance(gate_up, PlainProduct)
    assert layer.mlp.gate_proj.weight.data_ptr() == gate_up.weight.data_ptr()
    assert torch.equal(gate_up.weight[INTERMEDIATE:], layer.mlp.up_proj.weight)
    quantized = in_fp8(layer)
    products = layer_products(quantized)
    assert all(getattr(products, name).takes_fp8 for name in ("qkv", "o", "gate_up", "down"))
    assert isinstance(products.gate_up, Fp8Product)
    up = quantized.mlp.up_proj
    assert up.values.data_ptr() == products.gate_up.values.data_ptr() + INTERMEDIATE * HIDDEN
    assert torch.equal(products.gate_up.scales[INTERMEDIATE:], up.scales)


@torch.inference_mode()
def test_an_fp8_product_takes_both_kinds_of_activations_and_leaves_the_addition_to_the_next_norm() -> None:
    layer = a_layer(bias=True)
    product, x, other = layer_products(in_fp8(layer)).o, bf16(5, HIDDEN), bf16(5, 3, HEADS // 3)
    before, added = x.clone(), product.residual(x, other)
    assert added is not None
    assert torch.equal(x, before)
    assert torch.equal(added, product(Fp8Rows.of(other.flatten(1))))
    expected = layer.self_attn.o_proj(other.flatten(1)).float()
    assert float((added.float() - expected).norm() / expected.norm()) < 0.06


@torch.inference_mode()
def test_a_row_of_a_product_depends_on_no_other_row() -> None:
    product, x = layer_products(in_fp8(a_layer())).gate_up, bf16(6, HIDDEN)
    alone = product(x)
    other = x.clone()
    other[3:], other[5, 7] = 1e3, torch.nan
    assert torch.equal(product(other)[:3], alone[:3])


@torch.inference_mode()
def test_the_vision_tower_leaves_the_biases_of_two_products_to_the_next_norm() -> None:
    torch.manual_seed(0)
    qkv, proj, fc1, fc2 = (nn.Linear(*shape).bfloat16() for shape in ((32, 96), (32, 32), (32, 64), (64, 32)))
    block = SimpleNamespace(
        attn=SimpleNamespace(qkv=qkv, proj=proj), mlp=SimpleNamespace(linear_fc1=fc1, linear_fc2=fc2)
    )
    plain = block_products(block)
    fp8 = block_products(in_fp8(block))
    x = bf16(5, 32)
    intermediate = F.gelu(fc1(x), approximate="tanh")
    assert torch.allclose(plain.fc1.gelu(x, GELUTanh()), intermediate, atol=1e-2)
    rows = fp8.fc1.gelu(Fp8Rows.of(x), GELUTanh())
    assert isinstance(rows, Fp8Rows)
    assert float((rows.dequantized() - intermediate).norm() / intermediate.norm()) < 0.09
    for product, linear, given in ((fp8.proj, proj, x), (fp8.fc2, fc2, intermediate)):
        added = product.residual(x, given)
        assert added is not None
        expected = F.linear(given, linear.weight).float()
        assert float((added.float() - expected).norm() / expected.norm()) < 0.06
    summed = torch.zeros(5, 32).bfloat16()
    assert plain.fc2.residual(summed, intermediate) is None
    assert torch.allclose(summed, F.linear(intermediate, fc2.weight), atol=1e-2)


def test_memory_is_given_back_when_the_weights_of_a_layer_are_parts_of_larger_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a smaller tensor takes a piece of it first, the rest is lost for larger ones."""
    layer, given_back = a_layer(), list[tuple[torch.device, bool]]()
    old = weakref.ref(layer.mlp.gate_proj.weight.untyped_storage())
    monkeypatch.setattr(products, "give_back_freed_memory", lambda device: given_back.append((device, old() is None)))
    layer_products(layer)
    assert given_back == [(torch.device("cpu"), True)]
