"""Every foreign API that is spoken here, in the order in which a request is offered to them."""

from .fields import JsonSchema
from .handlers import Dialect
from .openapi import describe
from .postageapp.dialect import VERSIONS, PostageAppDialect
from .postageapp.routes import ROUTES as POSTAGEAPP_ROUTES
from .postal.dialect import PostalDialect
from .postal.routes import ROUTES as POSTAL_ROUTES
from .postmta.dialect import ERRORS, PostmtaDialect
from .postmta.outside import PATHS
from .postmta.routes import ROUTES as POSTMTA_ROUTES
from .postmta.shapes import SAMPLES

POSTMTA = PostmtaDialect(POSTMTA_ROUTES)
POSTAL = PostalDialect(POSTAL_ROUTES)
POSTAGEAPP = tuple(PostageAppDialect(version, POSTAGEAPP_ROUTES) for version in VERSIONS)
DIALECTS: tuple[Dialect, ...] = (POSTAL, *POSTAGEAPP, POSTMTA)
"""PostMTA's comes last: it takes whatever no other dialect of its prefix claims."""


def openapi(server_url: str) -> JsonSchema:
    """Return the OpenAPI document of the REST API at *server_url*."""
    return describe(
        POSTMTA.routes, words=ERRORS, server_url=server_url, samples=SAMPLES, outside=PATHS
    )
