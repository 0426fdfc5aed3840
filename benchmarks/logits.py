"""How far are both engines' bf16 logits from float32 logits? For the first token of each photo's answer.

    python benchmarks/make_checkpoint.py /tmp/4b
    python benchmarks/logits.py /tmp/4b                    # on one GPU
    python benchmarks/logits.py /tmp/4b --quantize fp8     # also in FP8
    python benchmarks/logits.py demo --photos 4 --device cpu

The distance of a photo is ‖logits − reference‖ ÷ ‖reference‖; the reference is the transformers engine in float32
without TF32, with the weights before any FP8. Exit status 1 if the continuous engine's median distance is more than 1.1
times the transformers engine's. The rows in FP8 are reported only:

continuous FP8             the engine with --quantize fp8
… exact                    the same without fast accumulation
blocks in bf16             the language layers were published in FP8 with a scale per 128 × 128 weights: their values in
                           bf16, as the engine runs them without --quantize
blocks, continuous FP8     the same weights with --quantize fp8, which quantizes them again per output channel
rows × channels, rounded   float32, with weights and activations rounded as the engine does: what FP8 costs in itself
rows × blocks, rounded     the same with a scale per 128 × 128 weights and per 128 activations in the language layers
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from forced_length_engines import RandomWeights, device_state, release
from quantized_model import BLOCK, by_block, emulated, quantize_
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from workload import PROMPT, write_photos

from yanshou.engines import Completion, Request
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.fp8.layers import fp8_layers
from yanshou.engines.continuous.prefill_batch import PrefillBatch
from yanshou.engines.dequantize import dequantized
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.engines.transformers.gqa_attention import SDPA_BACKENDS
from yanshou.settings import EngineSettings, PhotoSettings, SamplingSettings

MAX_RATIO = 1.1  # of the continuous engine's median distance to the transformers engine's

Logits = dict[int, Tensor]  # (vocabulary,) float32 on the CPU, by request id


class Reference(RandomWeights, TransformersEngine):
    """The transformers engine, with random weights if the folder has none."""

    @torch.inference_mode()
    def logits(self, requests: Sequence[Request]) -> Logits:
        """One photo at a time, so without padding."""
        exact = self.dtype == torch.float32
        found = Logits()
        with sdpa_kernel([SDPBackend.MATH] if exact else SDPA_BACKENDS):
            for request in requests:
                out = self.model(**self.collate([self.prepare(request)]), logits_to_keep=1)
                found[request.id] = out.logits[0, -1].float().cpu()
        return found


class Continuous(RandomWeights, ContinuousEngine):
    """The continuous engine, with random weights if the folder has none."""

    def logits(self, requests: Sequence[Request]) -> Logits:
        """Of full prefill batches, as in any run."""
        self._answer(requests[:1])  # allocates the slots
        state = device_state(self)
        found, sample = Logits(), state._sample_first_tokens

        def recorded(batch: PrefillBatch, slots: Sequence[int], last_hidden: Tensor) -> Tensor:
            logits = state.language.logits(last_hidden).float().cpu()
            found.update((prepared.request.id, logits[at]) for at, prepared in enumerate(batch.requests))
            return sample(batch, slots, last_hidden)

        state._sample_first_tokens = recorded
        self._answer(requests)
        assert device_state(self) is state, "slots were allocated again, and some logits were not recorded"
        return found

    def _answer(self, requests: Sequence[Request]) -> None:
        for answer in self.generate(requests):
            assert isinstance(answer, Completion), answer


# ---- in FP8 ----


def compare_fp8(report: dict[str, Any], plain: Reference, requests: Sequence[Request], exact: Logits) -> None:
    """The rows in FP8; `exact` are the logits in float32, `plain` the engine in 16 bits."""
    engine = beside(plain, Continuous, quantize="fp8")
    compare(report, "continuous FP8", partial(engine.logits, requests), exact)
    with patch("yanshou.engines.continuous.fp8.linear.FAST_ACCUMULATION", False):
        compare(report, "continuous FP8, exact", partial(engine.logits, requests), exact)
    del engine
    release()
    engine = beside(plain, Continuous)
    publish_in_blocks_(engine.model)
    compare(report, "blocks in bf16", partial(engine.logits, requests), exact)
    again = beside(plain, Continuous, quantize="fp8")
    vars(again)["model"] = quantize_(engine.model)
    del engine
    release()
    compare(report, "blocks, continuous FP8", partial(again.logits, requests), exact)
    del again
    for name, block in (("rows × channels, rounded", None), ("rows × blocks, rounded", BLOCK)):
        release()
        reference = beside(plain, Reference, dtype="float32", attn="sdpa")
        round_products_(reference.model, block)
        compare(report, name, partial(reference.logits, requests), exact)
        del reference


def beside(plain: Reference, kind: type[Any], **other: str) -> Any:
    """An engine with other settings and the same processor, which takes a second to load."""
    engine = kind(plain.settings.model_copy(update=other))
    vars(engine)["processor"] = plain.processor
    return engine


def rounded(x: Tensor, rows: int, columns: int) -> Tensor:
    """x (…, inputs) rounded to FP8 with one scale per block (rows, columns), in x's dtype."""
    values, scales = by_block(x.flatten(0, -2), rows, columns)
    return dequantized(values, scales, (rows, columns)).view(x.shape).to(x.dtype)


def fp8_linears(model: Any) -> list[tuple[str, nn.Linear]]:
    """The linear layers that run in FP8, and their names."""
    return [(name, model.get_submodule(name)) for name in fp8_layers(model)]


@torch.no_grad()
def publish_in_blocks_(model: Any) -> None:
    """Rounds the weights of the language layers as published checkpoints hold them."""
    for name, linear in fp8_linears(model):
        if "visual" not in name:
            linear.weight.copy_(rounded(linear.weight, BLOCK, BLOCK))


def round_products_(model: Any, block: int | None) -> None:
    """Rounds weights and activations; blocks are for the language layers only."""
    for name, linear in fp8_linears(model):
        own = None if "visual" in name else block
        columns = own or linear.in_features
        with torch.no_grad():
            linear.weight.copy_(rounded(linear.weight, own or 1, columns))
        linear.register_forward_pre_hook(lambda _, given, columns=columns: (rounded(given[0], 1, columns),))


def distances(found: Logits, reference: Logits) -> list[float]:
    """The relative distance of each photo's logits."""
    assert found.keys() == reference.keys()
    return [float((found[at] - expected).norm() / expected.norm()) for at, expected in reference.items()]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="How far both engines' logits are from float32 logits.")
    parser.add_argument("checkpoint", help='a checkpoint folder, with or without weights, or "demo"')
    parser.add_argument("--photos", type=int, default=32)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="bfloat16", help="dtype of both engines")
    parser.add_argument("--quantize", choices=["none", "fp8"], default="none", help="fp8: adds the rows in FP8")
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args(arguments)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

    photos = write_photos(given.folder, given.photos)
    requests = [Request(at, PROMPT, photo, photo.name) for at, photo in enumerate(photos)]
    settings = EngineSettings(
        checkpoint=given.checkpoint, device=given.device, dtype="float32", attn="sdpa",
        photo=PhotoSettings(max_pixels=given.max_pixels), sampling=SamplingSettings(max_new_tokens=1),
    )  # fmt: skip
    exact = Reference(settings)
    reference = exact.logits(requests)
    weights = sum(parameter.numel() for parameter in exact.model.parameters())
    del exact
    release()
    report: dict[str, Any] = {
        "checkpoint": given.checkpoint, "parameters": weights, "photos": given.photos, "dtype": given.dtype,
        "torch": torch.__version__, "most": MAX_RATIO, "distances": {},
    }  # fmt: skip
    in_16_bits = settings.model_copy(update={"dtype": given.dtype, "attn": "auto"})
    plain = Reference(in_16_bits)
    cuda = plain.device.type == "cuda"
    report["device"] = torch.cuda.get_device_name(plain.device) if cuda else "cpu"
    compare(report, "transformers", partial(plain.logits, requests), reference)
    engine = Continuous(in_16_bits)
    vars(engine).update(processor=plain.processor, model=plain.model)
    compare(report, "continuous", partial(engine.logits, requests), reference)
    del engine, vars(plain)["model"]
    release()
    if given.quantize == "fp8":
        with emulated(given.device):
            compare_fp8(report, plain, requests, reference)
    medians = {name: found["median"] for name, found in report["distances"].items()}
    report["ratios"] = {name: found / medians["transformers"] for name, found in medians.items()}
    report["kept"] = report["ratios"]["continuous"] <= MAX_RATIO
    print(
        *(f"{name:<26} {ratio:.3f} × the transformers engine's" for name, ratio in report["ratios"].items()), sep="\n"
    )
    print("kept" if report["kept"] else f"BROKEN: more than {MAX_RATIO}")
    if given.json:
        given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return report


def compare(report: dict[str, Any], name: str, compute: Callable[[], Logits], reference: Logits) -> None:
    """Adds an engine's distances to the report and prints them."""
    started = time.monotonic()
    found = distances(compute(), reference)
    report["distances"][name] = {
        "median": median(found), "max": max(found), "of each photo": found, "seconds": time.monotonic() - started
    }  # fmt: skip
    print(f"{name:<26} median {median(found):.5f}, largest {max(found):.5f} of {len(found)} photos", flush=True)


if __name__ == "__main__":
    sys.exit(not main()["kept"])
