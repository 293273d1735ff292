"""Training a prior on one's own images; what made the embedded one."""
