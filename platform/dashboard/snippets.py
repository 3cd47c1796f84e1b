"""First programs: what to paste so that an organization's first message goes out.

Each reads the key from the environment, so that nobody pastes a secret into a page or a file.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MUTATION = (
    "mutation Send($input: SendMessageInput!) "
    "{ sendMessage(input: $input) { message { id uuid } } }"
)
KEY = "POSTLANE_KEY"


@dataclass(frozen=True, slots=True)
class Example:
    """A message for the first try, and where to hand it in."""

    base: str
    sender: str
    recipient: str

    @property
    def message(self) -> dict[str, object]:
        """The message as both APIs take it."""
        return {
            "from": self.sender,
            "to": [self.recipient],
            "subject": "Hello from Postlane",
            "text": "It works.",
        }

    @property
    def rest(self) -> str:
        """The address for REST."""
        return f"{self.base}/api/v1/messages/send"

    @property
    def graphql(self) -> str:
        """The address for GraphQL."""
        return f"{self.base}/graphql"


def _curl(url: str, header: str, body: object) -> str:
    return (
        f"curl -sS {shlex.quote(url)} \\\n"
        f'  -H "{header}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body, indent=2))}"
    )


def _rest(example: Example) -> str:
    return _curl(example.rest, f"X-API-Key: ${KEY}", example.message)


def _graphql(example: Example) -> str:
    body = {"query": MUTATION, "variables": {"input": example.message}}
    return _curl(example.graphql, f"Authorization: Bearer ${KEY}", body)


def _python(example: Example) -> str:
    message = json.dumps(example.message, indent=4)
    return f"""import os

import httpx

answer = httpx.post(
    {json.dumps(example.rest)},
    headers={{"X-API-Key": os.environ["{KEY}"]}},
    json={message.replace(chr(10), chr(10) + "    ")},
)
answer.raise_for_status()
print(answer.json()["id"])"""


def _node(example: Example) -> str:
    message = json.dumps(example.message, indent=2).replace("\n", "\n  ")
    return f"""const answer = await fetch({json.dumps(example.rest)}, {{
  method: "POST",
  headers: {{ "X-API-Key": process.env.{KEY}, "Content-Type": "application/json" }},
  body: JSON.stringify({message}),
}});
if (!answer.ok) throw new Error(await answer.text());
console.log((await answer.json()).id);"""


LANGUAGES: Mapping[str, tuple[str, Callable[[Example], str]]] = {
    "curl": ("curl", _rest),
    "graphql": ("GraphQL", _graphql),
    "python": ("Python", _python),
    "node": ("Node.js", _node),
}
"""Name in the address, name on the tab, and the program."""
