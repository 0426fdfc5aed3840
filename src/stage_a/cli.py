"""`python -m src.stage_a.cli …` from a checkout: the same as `yanshou summarize …`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout's own yanshou, installed or not

if __name__ == "__main__":
    try:
        from yanshou.cli.start import main

        given = sys.argv[1:]
        if given[:1] != ["summarize"]:  # the usage line shows this word, so users may write it
            given.insert(0, "summarize")
        main(given, prog_name="python -m src.stage_a.cli")
    except ModuleNotFoundError as missing:
        advice = "Run `make install`, then `source .venv/bin/activate`."
        sys.exit(f"error: {missing.name} is not installed for {sys.executable}. {advice}")
