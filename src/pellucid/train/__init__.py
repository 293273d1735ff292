"""Training of priors on any images, as for the embedded one."""
