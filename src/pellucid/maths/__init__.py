"""Noise levels and the move between them, the problem that a method solves, and variance stabilisation."""
