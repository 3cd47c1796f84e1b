"""Who may use which endpoint: the least role, and the scope of a key.

Source: postmta-api section 3.
"""

from postlane.core.actor import ROLE_PERMISSIONS, Permission, Role
from postlane.rest_compat.dialects import POSTMTA
from postlane.rest_compat.postmta.reference import EXTENSIONS, key_of
from postlane.rest_compat.route import CompatRoute

from .table import ROUTES

LADDER = ("viewer", "developer", "admin", "owner")
RIGHTS = """
    E01 none none
    E02 admin metrics:read
    E03 none none
    E04 none none
    E05 any any
    E06 viewer+billing users:read
    E07 viewer+billing users:read
    E08 admin users:write
    E09 viewer+billing credits:read
    E10 viewer+billing credits:read
    E11 developer credits:write
    E12 viewer+billing credits:read
    E13 viewer+billing credits:read
    E14 viewer+billing credits:read
    E15 admin+billing credits:alerts
    E16 developer api_keys:write
    E17 developer api_keys:read
    E18 developer api_keys:read
    E19 developer api_keys:write
    E20 developer api_keys:write
    E21 developer messages:send
    E22 developer messages:send
    E23 viewer messages:read
    E24 viewer messages:read
    E25 developer messages:write
    E26 developer messages:write
    E27 viewer queues:read
    E28 viewer queues:read
    E29 developer queues:write
    E30 developer domains:write
    E31 viewer domains:read
    E32 viewer domains:read
    E33 developer domains:write
    E34 developer domains:write
    E35 developer domains:write
    E36 admin domains:delete
    E37 admin vmtas:write
    E38 viewer vmtas:read
    E39 viewer vmtas:read
    E40 admin vmtas:write
    E41 developer vmtas:control
    E42 developer vmtas:control
    E43 viewer vmtas:read
    E44 viewer vmtas:read
    E45 admin vmtas:write
    E46 developer webhooks:write
    E47 viewer webhooks:read
    E48 viewer webhooks:read
    E49 developer webhooks:write
    E50 developer webhooks:write
    E51 viewer webhooks:read
    E52 developer webhooks:write
    E53 none none
    E54 none none
    E55 viewer security:read
    E56 viewer security:read
    E57 viewer security:read
    E58 developer security:scan
    E59 viewer security:read
    E60 admin security:write
    E61 developer security:scan
    E62 developer security:scan
    E63 viewer security:read
    E64 admin security:write
    E65 viewer security:read
    E66 admin security:write
    E67 viewer analytics:read
    E68 viewer analytics:read
    E69 viewer analytics:read
    E70 viewer analytics:read
    E71 viewer analytics:read
    E72 viewer analytics:read
    E73 viewer analytics:read
    E74 viewer analytics:read
    E75 admin+billing billing:read
    E76 owner+billing billing:write
    E77 owner+billing billing:write
    E78 owner+billing billing:write
    E79 admin+billing billing:read
    E80 admin+billing billing:read
    E81 admin+billing billing:read
"""
"""Number, least role (and whether `billing` stands beside it), scope."""


def rights(route: CompatRoute) -> str:
    """Return the line of a route, as it is served."""
    number = ROUTES[f"{route.method} {route.path}"]
    if route.permission is None:
        kind = "none" if route.is_public else "any"
        return f"{number} {kind} {kind}"
    return f"{number} {roles(route.permission)} {route.permission.value}"


def roles(permission: Permission) -> str:
    """Return the least role of the ladder that holds *permission*; all above hold it, too."""
    holders = {role.value for role in Role if permission in ROLE_PERMISSIONS[role]}
    least = next(nth for nth, name in enumerate(LADDER) if name in holders)
    assert holders - {"billing"} == set(LADDER[least:])
    return LADDER[least] + ("+billing" if "billing" in holders else "")


def test_every_route_asks_for_the_contracts_role_and_scope() -> None:
    written = {line.split()[0]: line.strip() for line in RIGHTS.strip().splitlines()}
    routes = [route for route in POSTMTA.routes if key_of(route) not in EXTENSIONS]
    served = {line.split()[0]: line for line in map(rights, routes)}

    assert len(written) == 81
    assert served == {number: written[number] for number in served}
