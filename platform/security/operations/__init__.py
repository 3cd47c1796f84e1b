"""Signing in and out, and changing API keys."""

from ..new_keys import NewKey
from .api_keys import (
    IssuedKey,
    create_api_key,
    delete_api_key,
    rotate_api_key,
    update_api_key,
)
from .resets import request_password_reset, reset_password
from .sessions import SignedIn, change_password, log_in, log_out, sign_in, switch_organization

__all__ = [
    "IssuedKey",
    "NewKey",
    "SignedIn",
    "change_password",
    "create_api_key",
    "delete_api_key",
    "log_in",
    "log_out",
    "request_password_reset",
    "reset_password",
    "rotate_api_key",
    "sign_in",
    "switch_organization",
    "update_api_key",
]
