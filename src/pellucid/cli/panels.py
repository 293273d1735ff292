"""Layout of the help: the panels of the options of `restore`, its examples, and the overview of all commands."""

from __future__ import annotations

_EVERYDAY, _KNOWN, _QUALITY = "Everyday", "Known damage", "Quality and speed"
_JOBS, MORE = "Jobs", "Research"

_MEMBERS = {
    _EVERYDAY: (
        "output",
        "fidelity",
        "task",
        "yes",
        "overwrite",
        "in_place",
        "dry",
        "strip_metadata",
        "damaged_files",
        "help",
    ),
    _KNOWN: ("mask", "kernel", "by", "noise", "exact", "save_kernel", "save_mask"),
    _QUALITY: ("preset", "strength", "device", "backend", "precision", "tile", "batch"),
    _JOBS: ("resume", "shard", "time_limit", "executor", "workers", "address", "config", "write_config", "json"),
    MORE: ("method", "settings", "prior", "label", "prompt", "offline", "seed", "samples", "maps", "truth", "trace"),
}

PANELS = {name: panel for panel, names in _MEMBERS.items() for name in names}
"""Panel of each option of `restore` by its parameter's name."""

_LINES = (
    ("restore photo.jpg -o restored.png", "find the damage and repair it"),
    ("restore scans/ -o restored/ --resume", "a folder; go on after a stop"),
    ("restore photo.jpg -o near.png --fidelity 0.8", "stay nearer to the picture"),
    ("restore small.png -o large.png --task enlarge --by 2", "known damage: see pellucid tasks"),
    ("restore old.png -o whole.png --task inpaint --mask holes.png", "fill in what the mask paints white"),
    ("restore photo.jpg -o out.png -m dreamclean --samples 4", "four samples of one method"),
)

EXAMPLES = "\n".join(["\b", "Examples:", *(f"  pellucid {call}\n      {about}" for call, about in _LINES)])
"""Examples at the end of `pellucid restore --help`."""

OVERVIEW = """pellucid restores damaged photographs with a diffusion model.

  pellucid restore photo.jpg -o restored.png   find the damage and repair it
  pellucid diagnose photo.jpg                  name the damage, change nothing
  pellucid app                                 do the same in a browser

Without a photograph at hand: pellucid demo. All commands: pellucid --help."""
"""Answer to `pellucid` alone."""
