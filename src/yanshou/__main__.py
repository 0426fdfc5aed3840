"""`python -m yanshou` is `yanshou`."""

from yanshou.cli import main

if __name__ == "__main__":
    main(prog_name="yanshou")
