"""The log of requests."""

from piccolo.columns import UUID, BigInt, Integer, SmallInt, Timestamptz, Varchar
from piccolo.table import Table

from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class ApiRequest(Table, db=DB, tablename="api_requests"):
    """One request with an API key, or several that are alike; outlives its key."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    project_id = UUID(null=True, default=None, help_text="Of the key, if it is bound to one.")
    api_key_id = UUID()
    user_id = UUID(null=True, default=None, help_text="Who made the key.")
    api = Varchar(10, help_text="graphql, rest, postal or postageapp.")
    method = Varchar(7)
    route = Varchar(200, help_text="The path, with the names of its places.")
    operation = Varchar(100, null=True, default=None, help_text="Of GraphQL.")
    status = SmallInt(help_text="HTTP.")
    code = Varchar(40, null=True, default=None, help_text="Why it was refused.")
    outcome = Varchar(9, help_text="succeeded, refused or failed.")
    request_id = Varchar(128, help_text="Of the last, if the line stands for several.")
    requests = Integer(default=1, help_text="How many the line stands for.")
    microseconds = BigInt(help_text="They took, all together.")
    created_at = Timestamptz(default=clock.now)
