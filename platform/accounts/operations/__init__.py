"""Changing who belongs where: members, invitations, projects, people, organizations."""

from .invitations import (
    NewInvitation,
    accept_invitation,
    invite_member,
    join_by_invitation,
    resend_invitation,
    withdraw_invitation,
)
from .members import add_member, change_role, lock_members, remove_member
from .organizations import add_organization, rename_organization, set_second_factor_rule
from .people import (
    FIRST_TOKEN_VERSION,
    NewUser,
    add_user,
    hold_person,
    is_first_user,
    set_password,
    set_second_factor,
    update_user,
)
from .platform_admins import set_platform_admin
from .projects import (
    NewProject,
    ProjectChange,
    add_project,
    archive_project,
    create_project,
    put_away,
    update_project,
)
from .standing import (
    change_plan,
    forgive_debt,
    resume_organization,
    suspend_for_debt,
    suspend_organization,
)
from .tracking import note_recipients_decide, set_tracking

__all__ = [
    "FIRST_TOKEN_VERSION",
    "NewInvitation",
    "NewProject",
    "NewUser",
    "ProjectChange",
    "accept_invitation",
    "add_member",
    "add_organization",
    "add_project",
    "add_user",
    "archive_project",
    "change_plan",
    "change_role",
    "create_project",
    "forgive_debt",
    "hold_person",
    "invite_member",
    "is_first_user",
    "join_by_invitation",
    "lock_members",
    "note_recipients_decide",
    "put_away",
    "remove_member",
    "rename_organization",
    "resend_invitation",
    "resume_organization",
    "set_password",
    "set_platform_admin",
    "set_second_factor",
    "set_second_factor_rule",
    "set_tracking",
    "suspend_for_debt",
    "suspend_organization",
    "update_project",
    "update_user",
    "withdraw_invitation",
]
