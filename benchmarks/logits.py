"""How far are both engines' bf16 logits from float32's? Of the first answer token, behind each photo's prompt.

    python benchmarks/make_checkpoint.py /tmp/4b
    python benchmarks/logits.py /tmp/4b                    # on one GPU
    python benchmarks/logits.py demo --photos 4 --device cpu

For each photo ‖logits − reference‖ ÷ ‖reference‖, the reference being the transformers engine in float32, without TF32,
on the same weights. Status 1 if the continuous engine's median is more than 1.1 times the transformers engine's.
"""

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from forced_length_engines import RandomWeights
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from workload import PROMPT, write_photos

from yanshou.engines import Completion, Request
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.prefill_batch import PrefillBatch
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.engines.transformers.gqa_attention import SDPA_BACKENDS
from yanshou.settings import EngineSettings, PhotoSettings, SamplingSettings

MOST = 1.1  # times the transformers engine's distance

Logits = dict[int, Tensor]  # (vocabulary,) float32 on the CPU, by request id


class Reference(RandomWeights, TransformersEngine):
    """The transformers engine, with random weights where there are none."""

    @torch.inference_mode()
    def logits(self, requests: Sequence[Request]) -> Logits:
        """Photo by photo: nothing is padded."""
        exact = self.dtype == torch.float32
        found = Logits()
        with sdpa_kernel([SDPBackend.MATH] if exact else SDPA_BACKENDS):
            for request in requests:
                out = self.model(**self._collate([self.prepare(request)]), logits_to_keep=1)
                found[request.id] = out.logits[0, -1].float().cpu()
        return found


class Continuous(RandomWeights, ContinuousEngine):
    """The continuous engine, likewise."""

    def logits(self, requests: Sequence[Request]) -> Logits:
        """Of whole packs, as any run makes them."""
        self._answer(requests[:1])  # slots
        assert self._runner
        session = self._runner._state
        assert session
        found, begin = Logits(), session._sample_first_tokens

        def recorded(pack: PrefillBatch, slots: Sequence[int], ends: Tensor) -> Tensor:
            told = session.language.logits(ends).float().cpu()
            found.update((one.request.id, told[at]) for at, one in enumerate(pack.requests))
            return begin(pack, slots, ends)

        session._sample_first_tokens = recorded  # type: ignore[method-assign]
        self._answer(requests)
        assert self._runner._state is session, "another session, whose logits were not seen"
        return found

    def _answer(self, requests: Sequence[Request]) -> None:
        for answer in self.generate(requests):
            assert isinstance(answer, Completion), answer


def distances(found: Logits, reference: Logits) -> list[float]:
    """Relative, one a photo."""
    assert found.keys() == reference.keys()
    return [float((found[at] - wanted).norm() / wanted.norm()) for at, wanted in reference.items()]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="How far both engines' logits are from float32's.")
    parser.add_argument("checkpoint")
    parser.add_argument("--photos", type=int, default=32)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="bfloat16", help="of both engines")
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    parser.add_argument("--json", type=Path)
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
        "torch": torch.__version__, "most": MOST, "distances": {},
    }  # fmt: skip
    in_16_bits = settings.model_copy(update={"dtype": given.dtype, "attn": "auto"})
    plain = Reference(in_16_bits)
    cuda = plain.device.type == "cuda"
    report["device"] = torch.cuda.get_device_name(plain.device) if cuda else "cpu"
    told(report, "transformers", lambda: plain.logits(requests), reference)
    engine = Continuous(in_16_bits)
    vars(engine).update(processor=plain.processor, model=plain.model)
    told(report, "continuous", lambda: engine.logits(requests), reference)
    medians = {name: found["median"] for name, found in report["distances"].items()}
    report["ratios"] = {name: found / medians["transformers"] for name, found in medians.items()}
    report["kept"] = all(ratio <= MOST for ratio in report["ratios"].values())
    print(
        *(f"{name:<22} {ratio:.3f} × the transformers engine's" for name, ratio in report["ratios"].items()), sep="\n"
    )
    print("kept" if report["kept"] else f"BROKEN: more than {MOST}")
    if given.json:
        given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return report


def told(report: dict[str, Any], name: str, work: Any, reference: Logits) -> None:
    """An engine's distances, into the report and on a line."""
    began = time.monotonic()
    found = distances(work(), reference)
    report["distances"][name] = {
        "median": median(found), "max": max(found), "of each photo": found, "seconds": time.monotonic() - began
    }  # fmt: skip
    print(f"{name:<22} median {median(found):.5f}, largest {max(found):.5f} of {len(found)} photos", flush=True)


def release() -> None:
    """What the engine before held: it and its runner know each other."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(not main()["kept"])
