"""Where the process of a command begins: Ctrl-C and SIGTERM are handled before the commands are imported."""

import gc
from collections.abc import Sequence

from yanshou.cli.signals import exit_on_signals


def main(args: Sequence[str] | None = None, prog_name: str = "yanshou") -> None:
    """Runs one command line, sys.argv's by default, and ends the process."""
    exit_on_signals()
    from yanshou.cli import main as commands

    try:
        commands(args, prog_name=prog_name)
    except SystemExit as end:  # everything is printed and written
        exit_on_signals(int(end.code or 0), message="")
        gc.freeze()  # else the interpreter's last collections walk over all of torch and transformers, for seconds
        raise
