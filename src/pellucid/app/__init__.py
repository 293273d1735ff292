"""The web page: `pellucid restore` for people who do not use a command line."""
