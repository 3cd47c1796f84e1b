"""Signing in and out, and changing API keys."""

from ..new_keys import NewKey
from .api_keys import (
    IssuedKey,
    adopt_api_key,
    create_api_key,
    create_project_with_key,
    delete_api_key,
    rotate_api_key,
    update_api_key,
)
from .passkeys import (
    Added,
    add_passkey,
    begin_passkey,
    log_in_with_passkey,
    remove_passkey,
    rename_passkey,
)
from .platform_admins import change_platform_admin, change_platform_admin_here
from .provider import (
    begin_link,
    check_unknown,
    enter_as,
    find_owner,
    finish_provider_sign_in,
    link_provider,
    record_registration,
    tie,
    unlink_provider,
)
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
from .visits import begin_visit, end_visit

__all__ = [
    "Added",
    "IssuedKey",
    "NewKey",
    "SetUp",
    "SignedIn",
    "add_passkey",
    "adopt_api_key",
    "begin_link",
    "begin_passkey",
    "begin_second_factor",
    "begin_visit",
    "change_password",
    "change_platform_admin",
    "change_platform_admin_here",
    "check_unknown",
    "confirm_second_factor",
    "create_api_key",
    "create_project_with_key",
    "delete_api_key",
    "disable_second_factor",
    "end_other_sessions",
    "end_session",
    "end_visit",
    "enter_as",
    "find_owner",
    "finish_provider_sign_in",
    "link_provider",
    "log_in",
    "log_in_with_passkey",
    "log_out",
    "record_registration",
    "remove_passkey",
    "rename_passkey",
    "renew_recovery_codes",
    "request_password_reset",
    "require_second_factor",
    "reset_password",
    "rotate_api_key",
    "sign_in",
    "switch_organization",
    "tie",
    "unlink_provider",
    "update_api_key",
]
