"""The web page: what `pellucid restore` does, for people who never type a command."""
