"""Every foreign API that is spoken here, in the order in which a request is offered to them."""

from .postmta.dialect import PostmtaDialect
from .postmta.routes import ROUTES as POSTMTA_ROUTES

POSTMTA = PostmtaDialect(POSTMTA_ROUTES)
DIALECTS = (POSTMTA,)
"""PostMTA's comes last: it takes whatever no other dialect of its prefix claims."""
