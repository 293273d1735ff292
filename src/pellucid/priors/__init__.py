"""Priors: what a diffusion model knows about clean images."""
