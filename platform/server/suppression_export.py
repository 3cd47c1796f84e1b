"""`/suppressions.csv`: the suppressions that hold now, as a file that can be imported again."""

from typing import Any

from ..graphql.execute import Document
from .csv_export import Export

COLUMNS = {
    "email": "address",
    "reason": "reason",
    "description": "description",
    "stream": "stream",
    "project_id": "projectUuid",
    "expires_at": "expiresAt",
    "created_at": "createdAt",
}


def _text(field: str, value: Any) -> str:
    return str(value).lower() if field in ("reason", "stream") else str(value)


SUPPRESSIONS = Export(
    name="suppressions",
    document=Document(
        "query SuppressionExport($filter: SuppressionFilter, $first: Int, $after: String) "
        "{ organization { suppressions(filter: $filter, first: $first, after: $after) { "
        f"nodes {{ {' '.join(COLUMNS.values())} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
    ),
    field="suppressions",
    filters={"reason": "reason", "email": "address"},
    columns=COLUMNS,
    incomplete="The list does not end here",
    enums=frozenset({"reason"}),
    to_text=_text,
)
