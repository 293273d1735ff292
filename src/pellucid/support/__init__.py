"""Help that is not about images: values from text, devices, hashes, locks, curves."""
