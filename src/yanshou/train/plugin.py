"""Our rewards in ms-swift's registry: `--external_plugins plugin.py --reward_funcs yanshou_label yanshou_format`.

What a completion earns is `yanshou.stage_b.rewards`; nothing is added here. The trainer imports this file by its path.
"""

import os
import signal
import sys
import threading
from typing import Any

from swift.rewards import ORM, orms

from yanshou.stage_b.rewards import REWARDS, Reward
from yanshou.train.command import PREFIX, WATCHED


def _orm(name: str, reward: Reward) -> type:
    """ms-swift logs a reward under the name of its class: `rewards/Label/mean`."""

    def score(self: Any, completions: Any, **columns: Any) -> list[float | None]:
        return reward(completions, **columns)

    return type(name.capitalize(), (ORM,), {"__call__": score, "__doc__": reward.__doc__})


def _end_with_launcher() -> None:
    """The launcher holds the other end of standard input: a trainer whose launcher was killed must not go on alone."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="launcher").start()


for _name, (_reward, _) in REWARDS.items():
    orms[PREFIX + _name] = _orm(_name, _reward)

if os.environ.pop(WATCHED, ""):  # once, in the trainer; not in the processes that it starts
    _end_with_launcher()
