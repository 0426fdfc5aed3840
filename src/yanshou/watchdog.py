"""A child process that ends with its parent, even where the parent is killed."""

import os
import signal
import threading
from collections.abc import Callable


def end_with_parent(wait: Callable[[], object]) -> None:
    """Kills this process when `wait` returns, which it does once the parent has ended. Returns at once."""

    def watch() -> None:
        wait()
        os.kill(os.getpid(), signal.SIGKILL)  # sys.exit would end this thread only

    threading.Thread(target=watch, daemon=True, name="parent watcher").start()
