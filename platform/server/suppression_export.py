"""`/suppressions.csv`: the suppressions that hold now, as a file that can be imported again."""

from ..graphql import export_pages
from .csv_export import Export

SUPPRESSIONS = Export(
    name="suppressions",
    list=export_pages.SUPPRESSIONS,
    filters={"reason": "reason", "email": "address"},
    incomplete="The list does not end here",
    enums=frozenset({"reason"}),
)
