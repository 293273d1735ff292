"""Help that is not about images: values from text, devices, locks, curves."""
