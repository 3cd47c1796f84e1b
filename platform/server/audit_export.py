"""`/audit-log.csv`: the audit log as a file."""

from typing import Any

from ..graphql.execute import Document
from .csv_export import Export, as_json

COLUMNS = {
    "time": "createdAt",
    "action": "action",
    "actor": "actorKind",
    "user_id": "userUuid",
    "api_key_id": "apiKeyUuid",
    "target_type": "targetType",
    "target_id": "targetId",
    "changes": "changes",
    "source_address": "sourceAddress",
    "request_id": "requestId",
}


def _text(field: str, value: Any) -> str:
    return as_json(value) if field == "changes" else str(value)


AUDIT_LOG = Export(
    name="audit-log",
    document=Document(
        "query AuditExport($filter: AuditFilterInput, $first: Int, $after: String) "
        "{ organization { auditLog(filter: $filter, first: $first, after: $after) { "
        f"nodes {{ {' '.join(COLUMNS.values())} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
    ),
    field="auditLog",
    filters={
        "action": "action",
        "target_type": "targetType",
        "target_id": "targetId",
        "user_id": "userId",
        "api_key_id": "apiKeyId",
        "since": "since",
        "until": "until",
    },
    columns=COLUMNS,
    incomplete="The log does not end here",
    to_text=_text,
)
