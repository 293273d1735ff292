"""Operators: how an image was damaged."""
