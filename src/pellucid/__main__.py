"""`python -m pellucid` is the command `pellucid`."""

from .cli import main

main()
