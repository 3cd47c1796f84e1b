"""The GraphQL documents that workers run: those of webhooks and those of exports.

Half of what a process may load comes with this module, so workers load it once it is needed.
"""

from ..graphql.export_pages import pages_for
from ..graphql.payloads import shaped_for
from .auth import actor_for_export, actor_for_webhook

shape = shaped_for(actor_for_webhook)
"""Runs the document of a webhook with the rights that it has."""
read_page = pages_for(actor_for_export)
"""Reads a page of an export as whoever asked for it."""
