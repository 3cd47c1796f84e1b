"""Refusals of billing.

* Conflict
  - BillingNotConfigured   nobody collects payments here
  - NotAnUpgrade           the plan asked for does not stand above the present one
  - NotADowngrade          it does not stand below the present one
  - DowngradeBlocked       more is in use than the lower plan allows
  - ContactSales           the plan is agreed by contract
  - AlreadySubscribed      a plan is paid for; change it instead
  - ChangeInProgress       another change of the plan waits for its payment
  - InvoiceNotOpen         it is paid, void or given up
* LimitReached
  - PaymentMethodRequired  nothing is stored that could be charged
  - PaymentFailed          the payment was refused
* Unavailable
  - PaymentProviderError   the provider cannot be reached or did not understand us
* InvalidInput
  - RangeTooLarge          more periods than one answer holds
"""

from collections.abc import Iterable

from ..core.errors import (
    Conflict,
    Detail,
    DetailCode,
    ErrorCode,
    InvalidInput,
    LimitReached,
    Unavailable,
)


class BillingNotConfigured(Conflict):
    """Nobody collects payments here, so this cannot be done."""

    code = ErrorCode.BILLING_NOT_CONFIGURED
    message = "This deployment has no payment provider for this; ask its administrator."


class NotAnUpgrade(Conflict):
    """The plan asked for does not stand above the present one."""

    code = ErrorCode.NOT_AN_UPGRADE
    message = "This plan is not above your present one."


class NotADowngrade(Conflict):
    """The plan asked for does not stand below the present one."""

    code = ErrorCode.NOT_A_DOWNGRADE
    message = "This plan is not below your present one."


class DowngradeBlocked(Conflict):
    """More is in use than the lower plan allows."""

    code = ErrorCode.DOWNGRADE_BLOCKED
    message = "You use more than this plan allows."

    @classmethod
    def by(cls, exceeded: Iterable[tuple[str, int, int]]) -> "DowngradeBlocked":
        """Return the refusal that names what, how much of it is used, and what is allowed."""
        return cls(
            details=[
                Detail(what, DetailCode.TOO_MANY, f"You have {used} {what}; it allows {allowed}.")
                for what, used, allowed in exceeded
            ]
        )


class ContactSales(Conflict):
    """The plan is agreed by contract."""

    code = ErrorCode.CONTACT_SALES
    message = "This plan is agreed by contract; write to sales."


class AlreadySubscribed(Conflict):
    """A plan is paid for already."""

    code = ErrorCode.ALREADY_SUBSCRIBED
    message = "You have a plan already; upgrade or downgrade it instead."


class ChangeInProgress(Conflict):
    """Another change of the plan waits for its payment."""

    code = ErrorCode.PLAN_CHANGE_IN_PROGRESS
    message = "Another change of your plan waits for its payment."


class InvoiceNotOpen(Conflict):
    """It is paid, void or given up."""

    code = ErrorCode.INVOICE_NOT_OPEN
    message = "This invoice is not open."


class PaymentMethodRequired(LimitReached):
    """Nothing is stored that could be charged."""

    code = ErrorCode.PAYMENT_METHOD_REQUIRED
    message = "There is no stored payment method; add one with a checkout."


class PaymentFailed(LimitReached):
    """The payment was refused."""

    code = ErrorCode.PAYMENT_FAILED
    message = "The payment was refused; nothing has changed."


class PaymentProviderError(Unavailable):
    """The provider cannot be reached, or did not understand us."""

    code = ErrorCode.PAYMENT_PROVIDER_ERROR
    message = "The payment provider did not answer as it should; try again shortly."


class RangeTooLarge(InvalidInput):
    """More periods than one answer holds."""

    code = ErrorCode.RANGE_TOO_LARGE
    message = "The range holds more than 400 periods."
