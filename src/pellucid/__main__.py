"""`python -m pellucid` is the command `pellucid`."""

from .cli import program

program()
