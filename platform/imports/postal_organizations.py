"""Taking Postal's organizations and their people over."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..accounts.operations import NewUser, add_member, add_user
from ..accounts.queries import find_person
from ..accounts.rules import checked_email, checked_timezone
from ..accounts.work import first_owner, is_member
from ..core.actor import (
    ROLE_PERMISSIONS,
    Actor,
    ActorKind,
    OrganizationId,
    Origin,
    Role,
    UserId,
)
from ..core.database import Tx
from ..core.errors import InvalidInput
from ..registration.operations import begin_organization
from .postal import Postal
from .postal_rows import PostalOrganization, PostalUser
from .postal_servers import Contents, Place
from .report import Kind, Outcome, Report
from .rules import Choices, named
from .taken import Taken


@dataclass(slots=True)
class Taking:
    """One import: where from, and what becomes of it."""

    postal: Postal
    choices: Choices
    taken: Taken
    report: Report
    places: dict[int, Place] = field(default_factory=dict)
    """By the id of the server."""

    async def organization(self, tx: Tx, found: PostalOrganization) -> None:
        """Take over an organization with all that is in it, or what is new in it since."""
        if found.is_deleted:
            self.report.add(Kind.ORGANIZATION, found.name, Outcome.LEFT, "it was deleted in Postal")
            return
        people = await self._people(tx, found)
        known = await self.taken.recall("organization", [found.uuid])
        if found.uuid in known:
            organization_id = OrganizationId(known[found.uuid])
            owner_id = await first_owner(organization_id)
            if owner_id is None:
                note = "it was deleted here, or has no owner"
                self.report.add(Kind.ORGANIZATION, found.name, Outcome.LEFT, note)
                return
            actor = acting_for(organization_id, owner_id)
            self.report.add(Kind.ORGANIZATION, found.name, Outcome.PRESENT)
        else:
            begun = await self._begin(tx, found, people)
            if begun is None:
                return
            actor = begun
        await self._members(tx, actor, found, people)
        contents = Contents(self.postal, found, tx, actor, self.choices, self.taken, self.report)
        await contents.take()
        self.places |= contents.places

    async def _people(self, tx: Tx, found: PostalOrganization) -> dict[int, UserId]:
        """Return the organization's people by their id in Postal, new ones made."""
        ids = {
            user_id
            for organization_id, user_id in self.postal.members
            if organization_id == found.id
        } | {found.owner_id}
        wanted = [user for user in self.postal.users if user.id in ids]
        known = await self.taken.recall("user", [user.uuid for user in wanted])
        people: dict[int, UserId] = {}
        for user in wanted:
            if user.uuid in known:
                people[user.id] = UserId(known[user.uuid])
                continue
            person = await self._person(tx, user)
            if person is not None:
                people[user.id] = person
        return people

    async def _person(self, tx: Tx, user: PostalUser) -> UserId | None:
        try:
            email = checked_email(user.email)
        except InvalidInput as error:
            self.report.add(Kind.USER, user.email, Outcome.REFUSED, error.sentence.rstrip("."))
            return None
        person = await find_person(email=email)
        if person is not None and not self.choices.joins_people:
            note = (
                "somebody has registered with this address, and it is not certain that they are "
                "the same; --join-people takes them for the same"
            )
            self.report.add(Kind.USER, email, Outcome.REFUSED, note)
            return None
        notes = ["chooses a password by `Forgot password`"] if person is None else []
        if user.is_admin:
            notes.append(f"looked after Postal: `postlane grant-platform-admin {email}` goes on")
        if person is not None:
            user_id = person.id
        else:
            new = NewUser(
                email=email,
                name=named(user.name, email),
                password_hash=self.choices.password_hash,
                timezone=_timezone(user.time_zone),
            )
            user_id = await add_user(tx, new, platform_admin=False)
        await self.taken.remember(tx, "user", user.uuid, user_id)
        self.report.add(Kind.USER, email, Outcome.TAKEN, *notes)
        return user_id

    async def _begin(
        self, tx: Tx, found: PostalOrganization, people: Mapping[int, UserId]
    ) -> Actor | None:
        owner_id = people.get(found.owner_id or 0) or self.choices.owner_id
        if owner_id is None:
            note = "nobody can own it; --owner names somebody who has an account"
            self.report.add(Kind.ORGANIZATION, found.name, Outcome.REFUSED, note)
            return None
        organization_id = await begin_organization(
            tx,
            owner_id,
            name=named(found.name, found.permalink),
            origin=Origin(),
            slug=found.permalink or None,
        )
        await self.taken.remember(tx, "organization", found.uuid, organization_id)
        self.report.add(Kind.ORGANIZATION, found.name, Outcome.TAKEN)
        return acting_for(organization_id, owner_id)

    async def _members(
        self, tx: Tx, actor: Actor, found: PostalOrganization, people: Mapping[int, UserId]
    ) -> None:
        """Make people members who were not made that before: who left since stays away."""
        rows = {
            f"{found.uuid}:{user.uuid}": people[user.id]
            for user in self.postal.users
            if user.id in people
        }
        known = await self.taken.recall("member", list(rows))
        for foreign_id, user_id in rows.items():
            if foreign_id in known:
                continue
            if not await is_member(actor.organization_id, user_id):
                await add_member(tx, actor, user_id, role=Role.ADMIN)
            await self.taken.remember(tx, "member", foreign_id, user_id)


def acting_for(organization_id: OrganizationId, owner_id: UserId) -> Actor:
    """Return the platform, with the rights of an organization's owner."""
    return Actor(
        kind=ActorKind.PLATFORM,
        organization_id=organization_id,
        role=Role.OWNER,
        permissions=ROLE_PERMISSIONS[Role.OWNER],
        user_id=owner_id,
    )


def _timezone(text: str) -> str:
    try:
        return checked_timezone(text)
    except InvalidInput:
        # Rails has names of its own for most of them.
        return "UTC"
