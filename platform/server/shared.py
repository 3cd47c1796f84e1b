"""What the programs of one machine share: imported, and checked, before they are forked.

Frozen, so that the collector does not touch, and so copy, those pages.
"""

from ..core.garbage import collect_seldom, settle_down

collect_seldom()

from ..graphql.execute import check_documents  # noqa: E402
from ..jobs import worker as jobs  # noqa: E402, F401
from . import app, auth, documents, migrate, smtp, web, worker  # noqa: E402, F401

check_documents()
settle_down()
