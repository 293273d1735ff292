"""Measurements of speed and of things one can only measure; each module runs by itself, `python -m benchmarks.NAME`."""
