"""Damages, the tasks that undo them, and the settings that are tuned for them: one name each, at every door.

`words` says which task undoes which damage, `tuned` has the settings, and `told` the operators of damages that methods
can be told. What a task does is in `tasks`, what a damage does in `degradations`.
"""

from .words import UNDONE_BY, damage, kind, task

__all__ = ["UNDONE_BY", "damage", "kind", "task"]
