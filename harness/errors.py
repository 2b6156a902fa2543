"""The one exception a user may see: a clear line about what, where and how to mend it."""


class InputError(Exception):
    """Wrong usage or input. The command line prints its text as one line and exits with 2."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class NothingThereError(InputError):
    """A path that does not exist, or holds nothing of what is wanted."""
