"""Why a rule or a block is left as it is."""

from ..core.errors import ErrorCode, NotPermitted


class RuleLocked(NotPermitted):
    """The operator does not let organizations switch it."""

    code = ErrorCode.RULE_LOCKED
    message = "The operator of this deployment does not let this rule be switched."
