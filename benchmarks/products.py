"""How fast the model's matrix products are in 16 bits and in FP8, and what a photo's products cost at least.

    python benchmarks/products.py /tmp/4b                  # needs the config only, no weights
    python benchmarks/products.py /tmp/4b --exact          # without fast accumulation

Each product is timed alone, on random numbers, with the rows of a full prefill batch, of its photos' patches or of a
decode step. TFLOP/s count 2 × rows × outputs × inputs. ms per photo: the time of the product in all layers, ÷ photos
per prefill batch; for a decode step × tokens per answer ÷ slots. As in a run, no weight is in the GPU's cache when its
product begins. Quantizing activations is not in these times.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from quantized_model import emulated
from torch import nn
from workload import answer_lengths

from yanshou.engines.continuous.fp8.activations import Fp8Rows
from yanshou.engines.continuous.fp8.linear import Fp8Linear, fp8_product
from yanshou.engines.loading import load_config

PHOTOS, TOKENS, PATCHES, SLOTS = 32, 24_960, 95_232, 256  # of a prefill batch at the default pixel budget; slots
FORMS = ("bf16", "fp8")
CACHE = 2 * 60 * 2**20  # bytes: twice the cache of the largest Hopper card
RUNS = 30


class Product(NamedTuple):
    """A matrix product of the model."""

    part: str
    name: str
    rows: int
    outputs: int
    inputs: int
    per_photo: float  # how often it runs, per photo

    @property
    def tflop(self) -> float:
        """Of one run."""
        return 2 * self.rows * self.outputs * self.inputs / 1e12


def text_products(text: Any) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the matrix products of one layer of the language model."""
    hidden, intermediate, head_dim = text.hidden_size, text.intermediate_size, text.head_dim
    heads, key_heads = text.num_attention_heads, text.num_key_value_heads
    return {
        "qkv": ((heads + 2 * key_heads) * head_dim, hidden),
        "o": (hidden, heads * head_dim),
        "gate_up": (2 * intermediate, hidden),
        "down": (hidden, intermediate),
    }


def products(config: Any, slots: int = SLOTS) -> Iterator[Product]:
    """Those of the vision tower's blocks and of the language layers."""
    text, vision = config.text_config, config.vision_config
    hidden, intermediate = vision.hidden_size, vision.intermediate_size
    tower = {"qkv": (3 * hidden, hidden), "proj": (hidden, hidden), "fc1": (intermediate, hidden),
             "fc2": (hidden, intermediate)}  # fmt: skip
    for name, shape in tower.items():
        yield Product("vision", name, PATCHES, *shape, vision.depth / PHOTOS)
    steps = mean(answer_lengths(512)) / slots
    for part, rows, share in (("prefill", TOKENS, 1 / PHOTOS), ("decode", slots, steps)):
        for name, shape in text_products(text).items():
            yield Product(part, name, rows, *shape, text.num_hidden_layers * share)


def measured(product: Product, device: torch.device) -> dict[str, float]:
    """Seconds of one run in each form."""
    copies = -(-CACHE // (product.outputs * product.inputs)) if device.type == "cuda" else 1
    factory = {"bias": False, "device": device, "dtype": torch.bfloat16}
    linears = [nn.Linear(product.inputs, product.outputs, **factory) for _ in range(copies)]
    x = torch.randn(product.rows, product.inputs, device=device, dtype=torch.bfloat16)
    rows, in_fp8 = Fp8Rows.of(x), [Fp8Linear.of(linear) for linear in linears]
    return {
        "bf16": seconds([partial(nn.functional.linear, x, one.weight) for one in linears]),
        "fp8": seconds([partial(fp8_product, rows, one.values, one.scales, None, torch.bfloat16) for one in in_fp8]),
    }


@torch.inference_mode()
def seconds(work: Sequence[Callable[[], Any]]) -> float:
    """The mean time of RUNS or more calls in turn, after a first round; 0 on a CPU, where nothing is measured."""
    calls = list(islice(cycle(work), max(RUNS, len(work))))
    for one in calls[: len(work)]:
        one()
    if not torch.cuda.is_available():
        return 0.0
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # as in a decode step: launching a small product takes longer than computing it
        for one in calls:
            one()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    graph.replay()
    start.record()
    graph.replay()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / len(calls)


def table(config: Any, device: torch.device, slots: int = SLOTS) -> dict[str, Any]:
    """Prints one line per product, part and in all; returns the same."""
    rows, parts = [], {"all": {"tflop": 0.0, **dict.fromkeys(FORMS, 0.0)}}
    print(f"{'product':<16}  {'rows × outputs × inputs':<24}", *(f"{form:>6} TFLOP/s  ms/photo" for form in FORMS), "×")
    for product in products(config, slots):
        took = measured(product, device)
        costs = {form: 1e3 * took[form] * product.per_photo for form in FORMS}
        for part in (parts.setdefault(product.part, dict.fromkeys(parts["all"], 0.0)), parts["all"]):
            for name, number in {"tflop": product.tflop * product.per_photo, **costs}.items():
                part[name] += number
        rates = {form: product.tflop / took[form] if took[form] else 0.0 for form in FORMS}
        rows.append({**product._asdict(), "tflops": rates, "ms_per_photo": costs})
        shape = f"{product.rows:,} × {product.outputs:,} × {product.inputs:,}"
        each = (f"{rates[form]:>14.0f}  {costs[form]:>8.3f}" for form in FORMS)
        ratio = took["bf16"] / took["fp8"] if took["fp8"] else 0.0
        print(f"{product.part + ' ' + product.name:<16}  {shape:<24}", *each, f"{ratio:.2f}", flush=True)
    for name, part in parts.items():
        work = f"{part['tflop']:.2f} TFLOP per photo"
        print(f"{name:<16}  {work:<24}", *(f"{part[form]:>24.3f}" for form in FORMS), flush=True)
    return {"products": rows, "parts": parts}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="Speed of the model's matrix products in 16 bits and in FP8.")
    parser.add_argument("checkpoint", type=Path, help="a checkpoint folder; only its config.json is read")
    parser.add_argument("--exact", action="store_true", help="FP8 without fast accumulation")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args(arguments)
    cuda = given.device != "cpu" and torch.cuda.is_available()
    with emulated(given.device), patch("yanshou.engines.continuous.fp8.linear.FAST_ACCUMULATION", not given.exact):
        report = table(load_config(given.checkpoint), torch.device("cuda" if cuda else "cpu"))
    if given.json:
        given.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return report


if __name__ == "__main__":
    sys.exit(not main())
