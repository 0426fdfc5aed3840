"""`python -m yanshou.cli` is `yanshou`."""

from yanshou.__main__ import main

if __name__ == "__main__":
    main()
