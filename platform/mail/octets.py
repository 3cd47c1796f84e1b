"""A message's octets again, as it came and not as the standard library would have written it."""

from email.message import Message
from email.policy import Compat32


class _AsItCame(Compat32):
    """Folds nothing and refuses nothing: what a stranger wrote is to be read, whatever it is."""

    verify_generated_headers = False

    def fold(self, name: str, value: str) -> str:
        return f"{name}: {value}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("utf-8", "surrogateescape")


def octets_of(message: Message, *, line_end: str = "\r\n") -> bytes:
    """Return *message*, a part of one that was parsed, as octets."""
    policy = _AsItCame(linesep=line_end)
    try:
        return message.as_bytes(policy=policy)
    except UnicodeEncodeError:
        # One that says it has parts and has none: its octets come back as characters.
        return message.as_string(policy=policy).encode("utf-8", "surrogateescape")


def charset_of(part: Message) -> str | None:
    """Return the character set that a part names, None for none and for what is no name."""
    try:
        return part.get_content_charset()
    except ValueError:  # an extended parameter whose own character set has a NUL in its name
        return None


def filename_of(part: Message) -> str | None:
    """Return the name that a part gives its file, None for none and for what cannot be read."""
    try:
        return part.get_filename()
    except ValueError:  # as above
        return None
