"""What a page says after an action led to it; the address names the note, never its text."""

NOTES = {
    "signed-out": "You are signed out.",
    "reset-mailed": "If somebody has this address, a mail with a link is on its way.",
    "password-set": "Your password is changed. Sign in with the new one.",
    "domain-added": "The domain is added. Publish the records below, then check them.",
    "domain-checked": "The records were looked up just now.",
    "domain-deleted": "The domain is deleted.",
    "rotation-begun": "A new DKIM key is made. Publish its record; it takes over once it is seen.",
    "key-revoked": "The key is revoked: it is refused from now on.",
    "message-sent": "The message is accepted. What becomes of it shows here.",
    "message-cancelled": "What had not left is cancelled.",
    "organization-made": "The organization is made.",
}
