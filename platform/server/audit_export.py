"""`/audit-log.csv`: the audit log as a file."""

from ..graphql import export_pages
from .csv_export import Export

AUDIT_LOG = Export(
    name="audit-log",
    list=export_pages.AUDIT_LOG,
    filters={
        "action": "action",
        "target_type": "targetType",
        "target_id": "targetId",
        "user_id": "userId",
        "api_key_id": "apiKeyId",
        "since": "since",
        "until": "until",
    },
    incomplete="The log does not end here",
)
