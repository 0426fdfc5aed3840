"""Guarantee of `yanshou.watchdog`: a child ends with its parent."""

import signal
import subprocess
import sys

CHILD = """
import sys, time
from yanshou.watchdog import end_with_parent
end_with_parent(sys.stdin.read)
print("running", flush=True)
time.sleep(60)
"""


def test_a_child_is_killed_as_soon_as_its_parent_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == b"running\n"
    assert child.poll() is None
    child.stdin.close()  # what the end of the parent does
    assert child.wait(30) == -signal.SIGKILL
    child.stdout.close()
