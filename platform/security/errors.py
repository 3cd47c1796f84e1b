"""Refusals of security.

* InvalidInput
  - WeakPassword          it is too short, too long or too easy to guess
* NotAuthenticated
  - CredentialsWrong      email address or password is wrong
  - TokenInvalid          it is not a token of ours
  - TokenExpired          its time is over
  - TokenRevoked          it was signed out, or its person's tokens were all ended
  - SecondFactorRequired  the password was right, and a code is needed as well
  - SecondFactorWrong     the code is wrong, too old or used
  - ProviderRefused       what comes back from a provider of identities does not fit
  - PasskeyWrong          the device's answer is not one to what was asked, or is nobody's
  - KeyUnknown            no key has this secret, or the key is switched off
  - KeyExpired            its time is over
* NotPermitted
  - UserDisabled          the person may not sign in
  - AddressNotAllowed     the key may not be used from there
  - BeyondOwnRights       a key would hold more than whoever makes it
  - ResetInvalid          the link for a new password is unknown, used or too old
  - ProviderUnverified    the provider has not verified the address, or an account has it
  - SecondFactorKept      an organization of the person's asks for it
* Conflict
  - SecondFactorExists    the person has one already
  - SecondFactorMissing   the person has none
  - ProviderTaken         the identity signs in to an account already
  - PasskeyExists         it belongs to an account already
  - PasskeyLimitReached   the person has as many as they may have
  - KeyDisabled           the key is switched off
  - KeyBlocked            an auto-block keeps the key off
  - KeyLimitReached       the organization has as many keys as it may have
  - KeyTaken              a key with this secret exists, whosever it is
* LimitReached
  - AccountLocked         too many failed sign-ins with one address
  - TooManyRequests       a rate limit is spent
* Unavailable
  - ProviderMissing       there is no provider of identities
  - ProviderUnreachable   it does not answer
  - PasskeysUnavailable   browsers do not use passkeys at our address
"""

from ..core.errors import (
    Conflict,
    Detail,
    DetailCode,
    ErrorCode,
    InvalidInput,
    LimitReached,
    NotAuthenticated,
    NotPermitted,
    Unavailable,
)


class WeakPassword(InvalidInput):
    """It is too short, too long or too easy to guess."""

    def __init__(self, message: str, *, field: str = "password") -> None:
        super().__init__(message, details=(Detail(field, DetailCode.WEAK_PASSWORD, message),))


class CredentialsWrong(NotAuthenticated):
    """Email address or password is wrong; nobody learns which."""

    code = ErrorCode.INVALID_CREDENTIALS
    message = "The email address or the password is wrong."


class TokenInvalid(NotAuthenticated):
    """It is not a token of ours."""

    code = ErrorCode.INVALID_TOKEN
    message = "The token is not valid."


class TokenExpired(NotAuthenticated):
    """Its time is over."""

    code = ErrorCode.TOKEN_EXPIRED
    message = "The token has expired; sign in again."


class TokenRevoked(NotAuthenticated):
    """It was signed out, or its person's tokens were all ended."""

    code = ErrorCode.TOKEN_REVOKED
    message = "The token has been revoked; sign in again."


class SecondFactorRequired(NotAuthenticated):
    """The password was right, and a code is needed as well."""

    code = ErrorCode.SECOND_FACTOR_REQUIRED
    message = "Send a code of your authenticator, or a recovery code, too."


class SecondFactorWrong(NotAuthenticated):
    """The code is wrong, too old or used; the three are the same answer."""

    code = ErrorCode.SECOND_FACTOR_WRONG
    message = "This code is not valid; wait for the next one, or use a recovery code."


class ProviderRefused(NotAuthenticated):
    """What comes back from a provider of identities does not fit; why is in the log."""

    code = ErrorCode.PROVIDER_REFUSED
    message = "Signing in with the provider did not succeed; begin again."


class PasskeyWrong(NotAuthenticated):
    """The device's answer is not one to what was asked, came before, or is nobody's."""

    code = ErrorCode.PASSKEY_WRONG
    message = "This passkey cannot be used here; load the page again, or sign in another way."


class KeyUnknown(NotAuthenticated):
    """No key has this secret, or the key is switched off."""

    code = ErrorCode.INVALID_API_KEY
    message = "The API key is not valid."


class KeyExpired(NotAuthenticated):
    """The key's time is over."""

    code = ErrorCode.API_KEY_EXPIRED
    message = "The API key has expired."


class UserDisabled(NotPermitted):
    """The person may not sign in."""

    code = ErrorCode.USER_DISABLED
    message = "This user has been disabled."


class AddressBlocked(NotPermitted):
    """Too much went wrong from its network."""

    code = ErrorCode.ADDRESS_BLOCKED
    message = "Too many attempts have failed from your network; nobody signs in from there now."


class AddressNotAllowed(NotPermitted):
    """The key may not be used from there."""

    code = ErrorCode.ADDRESS_NOT_ALLOWED
    message = "This API key may not be used from your network address."


class BeyondOwnRights(NotPermitted):
    """A key would hold more than whoever makes it."""

    code = ErrorCode.INSUFFICIENT_SCOPE
    message = "An API key cannot hold more than you do."


class ResetInvalid(NotPermitted):
    """The link for a new password is unknown, used or too old; the three are the same answer."""

    code = ErrorCode.RESET_EXPIRED
    message = "This link is not valid any more; ask for a new one."


class ProviderUnverified(NotPermitted):
    """The provider has not verified the address, or an account has it."""

    code = ErrorCode.PROVIDER_UNVERIFIED
    message = "The provider does not say that it has verified the email address of this account."


class SecondFactorKept(NotPermitted):
    """An organization of the person's asks for it."""

    code = ErrorCode.SECOND_FACTOR_SETUP_REQUIRED
    message = "An organization of yours asks for a second factor, so you keep it."


class SecondFactorExists(Conflict):
    """The person has one already."""

    code = ErrorCode.SECOND_FACTOR_EXISTS
    message = "You have a second factor already; remove it first."


class SecondFactorMissing(Conflict):
    """The person has none."""

    message = "You have no second factor, or have not begun to set one up."


class ProviderTaken(Conflict):
    """The identity signs in to an account already."""

    code = ErrorCode.PROVIDER_TAKEN
    message = "This identity of the provider signs in to an account already."


class PasskeyExists(Conflict):
    """It belongs to an account already."""

    code = ErrorCode.PASSKEY_EXISTS
    message = "This passkey belongs to an account already."


class PasskeyLimitReached(Conflict):
    """The person has as many as they may have."""

    code = ErrorCode.PASSKEY_LIMIT_REACHED
    message = "You have 20 passkeys, and may not have more; remove one first."


class KeyDisabled(Conflict):
    """The key is switched off."""

    code = ErrorCode.API_KEY_DISABLED
    message = "The API key is disabled."


class KeyBlocked(Conflict):
    """An auto-block keeps the key off; resolving that lets it work again."""

    code = ErrorCode.AUTO_BLOCK_ACTIVE
    message = "An auto-block keeps this API key off. Resolve it first."


class KeyLimitReached(Conflict):
    """The organization has as many keys as it may have."""

    code = ErrorCode.API_KEY_LIMIT_REACHED
    message = "The organization has as many API keys as it may have; delete one first."


class KeyTaken(Conflict):
    """A key with this secret exists, whosever it is."""

    message = "An API key with this secret exists already."


class AccountLocked(LimitReached):
    """Too many failed sign-ins with one address."""

    code = ErrorCode.ACCOUNT_LOCKED
    message = "Too many failed sign-ins with this email address; try again later."


class TooManyRequests(LimitReached):
    """A rate limit is spent."""

    code = ErrorCode.RATE_LIMITED
    message = "Too many requests; try again later."


class ProviderMissing(Unavailable):
    """There is no provider of identities."""

    message = "Signing in with a provider needs POSTLANE_OIDC_ISSUER, which is not set."


class ProviderUnreachable(Unavailable):
    """The provider of identities does not answer, or nothing that can be read."""

    message = "The provider cannot be reached; try again shortly, or sign in another way."


class PasskeysUnavailable(Unavailable):
    """Browsers do not use passkeys at our address."""

    message = (
        "Passkeys need POSTLANE_PUBLIC_URL to be https:// and a host name; browsers use none at "
        "other addresses."
    )
