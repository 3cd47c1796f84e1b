"""Refusals of accounts.

* Conflict
  - EmailTaken            somebody has registered with this address
  - CannotChangeOwnRole   nobody promotes or demotes themselves
  - LastOwner             an organization keeps an owner
  - MemberExists          the person belongs to the organization already
  - ProjectExists         another project of the organization has this slug
  - ProjectArchived       it takes no changes and no keys
  - DefaultProjectStays   the project named `default` is not archived
  - LastPlatformAdmin     somebody looks after the deployment
* NotPermitted
  - OwnersOnly            only an owner touches owners, or makes one
  - RoleBeyondKey         an API key would make somebody who may do more than it
  - RoleBeyondOwn         a person would make somebody who may do more than they
  - InvitationInvalid     it is unknown, withdrawn, used or too old
* LimitReached
  - TooManyInvitations    the organization has invited enough people for now
"""

from ..core.errors import Conflict, ErrorCode, LimitReached, NotPermitted


class EmailTaken(Conflict):
    """Somebody has registered with this address."""

    code = ErrorCode.EMAIL_TAKEN
    message = "There is an account with this email address already."


class CannotChangeOwnRole(Conflict):
    """Nobody promotes or demotes themselves."""

    code = ErrorCode.CANNOT_CHANGE_OWN_ROLE
    message = "You cannot change your own role; ask another owner or admin."


class LastOwner(Conflict):
    """An organization keeps an owner."""

    code = ErrorCode.LAST_OWNER
    message = "This is the organization's last owner; make somebody else an owner first."


class MemberExists(Conflict):
    """The person belongs to the organization already."""

    code = ErrorCode.MEMBER_EXISTS
    message = "This person is a member of the organization already."


class ProjectExists(Conflict):
    """Another project of the organization has this slug."""

    code = ErrorCode.PROJECT_EXISTS
    message = "The organization has a project with this slug already."


class ProjectUidTaken(Conflict):
    """Another project of the organization has this uid."""

    code = ErrorCode.PROJECT_EXISTS
    message = "The organization has a project with this uid already."


class ProjectArchived(Conflict):
    """It takes no changes and no keys."""

    code = ErrorCode.PROJECT_ARCHIVED
    message = "The project is archived; restore it first."


class DefaultProjectStays(Conflict):
    """The project named `default` is not archived."""

    message = "The project 'default' takes the mail that names no other, so it stays."


class LastPlatformAdmin(Conflict):
    """Somebody looks after the deployment."""

    message = "Nobody else looks after this deployment; let somebody else do so first."


class OwnersOnly(NotPermitted):
    """Only an owner touches owners, or makes one."""

    code = ErrorCode.INSUFFICIENT_ROLE
    message = "This needs the role 'owner': only an owner touches owners, or makes one."


class RoleBeyondKey(NotPermitted):
    """An API key would make somebody who may do more than it."""

    code = ErrorCode.INSUFFICIENT_SCOPE
    message = "This API key cannot give a role that may do more than the key."


class RoleBeyondOwn(NotPermitted):
    """A person would make somebody who may do more than they."""

    code = ErrorCode.INSUFFICIENT_ROLE
    message = "You cannot give a role that may do more than yours."


class InvitationInvalid(NotPermitted):
    """It is unknown, withdrawn, used or too old; the four are the same answer."""

    code = ErrorCode.INVITATION_EXPIRED
    message = "This invitation is not valid any more; ask for a new one."


class TooManyInvitations(LimitReached):
    """The organization has invited enough people for now."""

    code = ErrorCode.RATE_LIMITED
    message = "The organization has sent many invitations lately; try again in an hour."
