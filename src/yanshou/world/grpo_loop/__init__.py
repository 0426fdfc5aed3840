"""The closed GRPO loop in the demo world: run it with `python -m yanshou.world.grpo_loop`."""
