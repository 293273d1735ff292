"""Measurements: of priors, and of methods on the papers' tables."""
