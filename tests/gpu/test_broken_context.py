"""A CUDA context that is broken for good: the worker says so, in place of failing photo after photo."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.gpu import on_gpu

pytestmark = on_gpu

TESTS = Path(__file__).parents[1]
CHILD = """
import sys
import torch
from support.gpu import on_device
from support.requests import LONG, photos
from yanshou.engines.base import RunPlan
from yanshou.engines.workers.messages import BrokenWorkerError
from yanshou.engines.workers.worker import Worker

def exchange(requests):
    answers = list(worker.exchange(tuple(requests), 0).answers)
    while len(answers) < len(requests):
        answers += worker.exchange((), 0).answers
    return answers

def break_context():
    '''A failed assertion on the device: an index beyond the end.'''
    torch.zeros(3, device="cuda")[torch.tensor([99], device="cuda")]
    try:
        torch.cuda.synchronize()
    except torch.AcceleratorError as error:
        print("broken:", str(error).splitlines()[0])

worker = Worker(on_device(sys.argv[1], "bfloat16").model_copy(update={"engine": sys.argv[2]}))
worker.plan(RunPlan(LONG, photos=True, earlier=[]))
if sys.argv[3] == "after":
    print(len(exchange(photos(4))), "answers")
else:
    worker.load()
break_context()
for _ in range(2):
    try:
        exchange(photos(4))
    except BrokenWorkerError as error:
        print("worker:", str(error).splitlines()[0])
"""


@pytest.mark.parametrize("engine", ["continuous", "transformers"])
@pytest.mark.parametrize("when", ["before", "after"])  # the first answer
def test_a_worker_with_a_broken_context_is_a_broken_worker(tiny: Path, engine: str, when: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tiny), engine, when],
        check=False, capture_output=True, encoding="utf-8", cwd=TESTS, timeout=240,
    )  # fmt: skip
    lines = child.stdout.splitlines()
    assert (child.returncode, len(lines)) == (0, 3 + (when == "after")), child.stdout + child.stderr
    assert lines[-3].startswith("broken: CUDA error: device-side assert")
    assert all(line.startswith("worker: AcceleratorError: CUDA error: ") for line in lines[-2:]), lines
