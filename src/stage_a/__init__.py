"""The module path `src.stage_a` of a checkout; everything lives in `yanshou`."""
