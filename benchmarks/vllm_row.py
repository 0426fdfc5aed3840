"""Runs the workload through vLLM's offline engine, from JPEG files on disk to token ids. Imports only vLLM.

    python benchmarks/vllm_row.py JOB.json RESULT.json

throughput.py starts this program in its own process and writes the job: checkpoint, rendered prompt, photos and answer
lengths, the same as for the other rows. All files are decoded in threads first and handed over in one list. vLLM caches
pictures, their features and prompts; all three caches are emptied before each pass, because no photo comes twice in
practice.
"""

import ctypes
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

SETTINGS = {  # no downloads, no usage reports, and none of the kernels that would be compiled at the first use
    "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_USE_FLASHINFER_SAMPLER": "0", "VLLM_USE_DEEP_GEMM": "0",
}  # fmt: skip
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)
with suppress(OSError):  # vLLM's kernels find the driver's functions only in libraries that are loaded already
    ctypes.CDLL("libcuda.so.1", mode=ctypes.RTLD_GLOBAL)

THREADS = min(16, os.cpu_count() or 1)
WARM_PHOTOS, WARM_TOKENS = 16, 32


def main(job_file: str, result_file: str) -> None:
    import vllm  # before the clock starts: the other rows do not count their imports either

    job: dict[str, Any] = json.loads(Path(job_file).read_text(encoding="utf-8"))
    started = time.monotonic()
    llm = vllm.LLM(
        model=job["checkpoint"], load_format="auto" if job["weights"] else "dummy", dtype=job["dtype"],
        max_model_len=4_096, gpu_memory_utilization=0.9, limit_mm_per_prompt={"image": 1, "video": 0},
        mm_processor_kwargs={"size": {"shortest_edge": job["min_pixels"], "longest_edge": job["max_pixels"]}},
        disable_log_stats=True, attention_config={"backend": "FLASH_ATTN"}, quantization=job["quantization"],
    )  # fmt: skip
    warm = [WARM_TOKENS] * len(job["photos"][:WARM_PHOTOS])
    prompt_tokens = answer(llm, job["prompt"], job["photos"][:WARM_PHOTOS], warm)
    start_s = time.monotonic() - started
    seconds = []
    for _ in range(job["repeats"]):
        empty_caches(llm)
        started = time.monotonic()
        answer(llm, job["prompt"], job["photos"], job["lengths"])
        seconds.append(time.monotonic() - started)
    result = {
        "version": vllm.__version__, "prompt_tokens": prompt_tokens, "start_s": start_s, "seconds": seconds,
        "used_bytes": used_bytes(),
    }  # fmt: skip
    Path(result_file).write_text(json.dumps(result), encoding="utf-8")


def answer(llm: Any, prompt: str, photos: list[str], lengths: list[int]) -> int:
    """Generates greedy answers of exactly these lengths; returns the number of tokens of the first prompt."""
    from vllm import SamplingParams

    with ThreadPoolExecutor(THREADS) as threads:
        images = list(threads.map(opened, photos))
    outputs = llm.generate(
        [{"prompt": prompt, "multi_modal_data": {"image": image}} for image in images],
        [SamplingParams(temperature=0.0, max_tokens=length, ignore_eos=True) for length in lengths],
        use_tqdm=False,
    )
    assert [len(output.outputs[0].token_ids) for output in outputs] == lengths, "an answer has another length"
    return len(outputs[0].prompt_token_ids)


def opened(photo: str) -> Image.Image:
    with Image.open(photo) as image:
        return image.convert("RGB")


def empty_caches(llm: Any) -> None:
    """Drops all pictures, features and prompts that vLLM has cached."""
    llm.reset_mm_cache()
    llm.llm_engine.reset_encoder_cache()
    for _ in range(50):  # the blocks of the last answers may still be in use
        if llm.reset_prefix_cache():
            return
        time.sleep(0.1)
    raise RuntimeError("vLLM's prefix cache cannot be emptied: it stays in use")


def used_bytes() -> int:
    """Memory of the device in use by any process. vLLM reserves most of it when it starts."""
    import torch

    if not torch.cuda.is_available():
        return 0
    free, total = torch.cuda.mem_get_info()
    return total - free


if __name__ == "__main__":
    main(*sys.argv[1:])
