"""What goes wrong with a command without being a bug."""


class CommandFailed(Exception):
    """A command cannot do its work; the message says why and what to do, in sentences."""
