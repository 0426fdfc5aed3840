"""The specification's module path; everything lives in `yanshou`."""
