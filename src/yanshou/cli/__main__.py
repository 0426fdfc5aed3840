"""`python -m yanshou.cli` is `yanshou`."""

from yanshou.cli import main

if __name__ == "__main__":
    main()
