"""One module a command, each with ``main(args) -> exit code``."""
