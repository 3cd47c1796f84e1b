"""What is somebody's own: the organizations they belong to."""

from ...graphql.execute import Document
from ..page import Action, Done, Page, shown
from .signing_in import SIGNED_IN

ORGANIZATIONS = Page(
    path="/orgs",
    title="Organizations",
    template="account/organizations.html",
    document=shown("query Organizations { ...Shell }"),
)
PAGES = (ORGANIZATIONS,)

ACTIONS = (
    Action(
        path="/orgs",
        page=ORGANIZATIONS,
        document=Document(
            "mutation CreateOrganization($input: CreateOrganizationInput!) "
            f"{{ createOrganization(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {"input": {"name": call.form.get("name", "")}},
        then=lambda data, call: Done(
            f"/o/{data['createOrganization']['organization']['slug']}?done=organization-made",
            session=(
                data["createOrganization"]["token"],
                data["createOrganization"]["expiresInSeconds"],
            ),
        ),
    ),
)
