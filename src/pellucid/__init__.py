"""Training-free image restoration with diffusion priors."""
