"""Signing in and out, and changing API keys."""

from ..new_keys import NewKey
from .api_keys import (
    IssuedKey,
    create_api_key,
    delete_api_key,
    rotate_api_key,
    update_api_key,
)
from .platform_admins import change_platform_admin, change_platform_admin_here
from .resets import request_password_reset, reset_password
from .second_factor import (
    SetUp,
    begin_second_factor,
    confirm_second_factor,
    disable_second_factor,
    renew_recovery_codes,
    require_second_factor,
)
from .sessions import (
    SignedIn,
    change_password,
    end_other_sessions,
    end_session,
    log_in,
    log_out,
    sign_in,
    switch_organization,
)

__all__ = [
    "IssuedKey",
    "NewKey",
    "SetUp",
    "SignedIn",
    "begin_second_factor",
    "change_password",
    "change_platform_admin",
    "change_platform_admin_here",
    "confirm_second_factor",
    "create_api_key",
    "delete_api_key",
    "disable_second_factor",
    "end_other_sessions",
    "end_session",
    "log_in",
    "log_out",
    "renew_recovery_codes",
    "request_password_reset",
    "require_second_factor",
    "reset_password",
    "rotate_api_key",
    "sign_in",
    "switch_organization",
    "update_api_key",
]
