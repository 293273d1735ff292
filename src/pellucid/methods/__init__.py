"""Restoration methods: one file each, one registry."""
