"""What schemathesis is told besides the OpenAPI document; it imports this in its own process."""

import json
import os
from itertools import count
from typing import Any

import schemathesis

IDS: dict[str, str] = json.loads(os.environ["GENERATED_IDS"])
"""Something that exists, by what the path says before its id; invented ids find nothing."""
_REQUESTS = count(1)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Come from another network each time, and ask for what exists every other time."""
    number = next(_REQUESTS)
    case.headers = {**(case.headers or {}), "X-Forwarded-For": f"2001:db8:{number:x}::1"}
    existing = IDS.get(case.operation.path.partition("/{id}")[0])
    if number % 2 and existing and "id" in (case.path_parameters or {}):
        case.path_parameters = {**case.path_parameters, "id": existing}
