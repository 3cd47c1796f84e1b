"""What the platform does for ingress mailboxes: looking into accounts, keeping mail, posting it."""

from .arriving import (
    Arrival,
    OpenMailbox,
    erase_sender,
    find_open_mailbox,
    remove_old_mail,
    take_mail,
)
from .due import ANY_DUE, CHANNEL, Due, tell
from .looking import (
    PASSWORD_PURPOSE,
    Look,
    begin_look,
    due_looks,
    end_failed_look,
    end_look,
    take_found,
)
from .posting import DuePost, begin_post, due_posts, settle_post

__all__ = [
    "ANY_DUE",
    "CHANNEL",
    "PASSWORD_PURPOSE",
    "Arrival",
    "Due",
    "DuePost",
    "Look",
    "OpenMailbox",
    "begin_look",
    "begin_post",
    "due_looks",
    "due_posts",
    "end_failed_look",
    "end_look",
    "erase_sender",
    "find_open_mailbox",
    "remove_old_mail",
    "settle_post",
    "take_found",
    "take_mail",
    "tell",
]
