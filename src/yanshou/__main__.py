"""`python -m yanshou` is `yanshou`."""

from yanshou.cli.start import main

if __name__ == "__main__":
    main()
