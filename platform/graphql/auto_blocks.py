"""Protection: rules, blocks, reputation, and how all of it is."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor, OrganizationId
from ..protection import operations, queries, tables
from ..protection.catalogue import all_rules
from ..protection.queries import Reputation, RuleView
from ..protection.rules import Action, BlockStatus, Metric, Scope, Strictness
from ..protection.status import MINIMUM_TLS, Overall, Status, get_status
from ..scanning.queries import Scanner
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import Json

describe_enum(
    Scope,
    "What a rule is about.",
    {
        "DOMAIN": "A sending domain.",
        "VMTA": "A vMTA of your own.",
        "QUEUE": "What waits at one vMTA for one destination.",
        "PROJECT": "A project, with all mail of it.",
        "API_KEY": "An API key.",
        "SOURCE_IP": "A network that somebody signs in from; the deployment's.",
    },
    name="AutoBlockScope",
)
describe_enum(
    Action,
    "What a block does.",
    {
        "BLOCK_SENDING": "The domain sends nothing: nothing is accepted, and what waits stays.",
        "PAUSE_VMTA": "The vMTA begins nothing.",
        "HOLD_QUEUE": "The queue is held.",
        "HOLD_PROJECT": "Mail of the project is accepted and waits until the block ends.",
        "DISABLE_API_KEY": "The key is switched off.",
        "BLOCK_IP": "Nobody signs in from the network.",
        "ALERT_ONLY": "Nothing but telling.",
    },
    name="AutoBlockAction",
)
describe_enum(
    Metric,
    "What a rule compares.",
    {
        "HARD_BOUNCE_RATE": "Hard bounces of what has ended, in per cent.",
        "COMPLAINT_RATE": "Complaints of what was delivered, in per cent.",
        "BLOCK_RATE": "Blocks by receivers of all attempts, in per cent.",
        "SEVERE_LISTINGS": "Blocklists of high severity that have the address.",
        "DEFERRAL_RATE": "Temporary failures of all attempts, in per cent.",
        "VOLUME_RATIO": "Messages accepted, against an hour of the last seven days.",
        "FAILED_SIGN_INS": "Wrong passwords, codes and keys.",
        "INFECTED_MESSAGES": "Messages with a virus.",
        "MAIL_AUTH_FAILURE_RATE": "Attempts refused for failed authentication, in per cent.",
        "SPAMTRAP_HITS": "Bounces that name a spam trap.",
        "SMTP_ABUSE": "Commands that were refused.",
        "FORGED_SENDERS": "Messages from domains that are not the organization's.",
    },
    name="AutoBlockMetric",
)
describe_enum(
    BlockStatus,
    "How a block is.",
    {
        "ACTIVE": "It holds.",
        "DRY_RUN": "It would hold, and does nothing.",
        "RESOLVED": "Somebody ended it.",
        "EXPIRED": "Its time was over.",
    },
    name="AutoBlockStatus",
)
describe_enum(
    Strictness,
    "How strictly an organization is judged.",
    {
        "STRICT": "By half of each threshold.",
        "STANDARD": "As the rules say.",
        "NONE": "Nothing is stopped; it is told.",
    },
    name="ReputationPolicy",
)
describe_enum(
    Overall,
    "The worst of the parts.",
    {
        "OK": "All is well.",
        "ATTENTION": "Something is blocked, or on a blocklist.",
        "DEGRADED": "A part that is switched on does not work.",
    },
    name="SecurityOverall",
)


@strawberry.type(description="A rule that stops what hurts, as it is for the organization.")
class AutoBlockRule:
    view: strawberry.Private[RuleView]

    @strawberry.field(description="The same in every organization.")
    def uuid(self) -> UUID:
        return self.view.rule.id

    @strawberry.field(description="By which it is named, too.")
    def key(self) -> str:
        return self.view.rule.key

    @strawberry.field(description="What it is called.")
    def name(self) -> str:
        return self.view.rule.name

    @strawberry.field(description="What it compares.")
    def metric(self) -> Metric:
        return self.view.rule.metric

    @strawberry.field(description="From which value on it is breached.")
    def threshold(self) -> float:
        return self.view.rule.threshold

    @strawberry.field(description="Over how long it is measured; 0 is at each look.")
    def window_seconds(self) -> int:
        return int(self.view.rule.window.total_seconds())

    @strawberry.field(description="How much there must have been of it.")
    def minimum_volume(self) -> int:
        return self.view.rule.minimum_volume

    @strawberry.field(description="What it is about.")
    def scope(self) -> Scope:
        return self.view.rule.scope

    @strawberry.field(description="What a breach does.")
    def action(self) -> Action:
        return self.view.rule.action

    @strawberry.field(description="For how long; null is until it is resolved.")
    def duration_seconds(self) -> int | None:
        lasts = self.view.rule.duration
        return int(lasts.total_seconds()) if lasts else None

    @strawberry.field(description="Whether it is looked at.")
    def enabled(self) -> bool:
        return self.view.enabled

    @strawberry.field(description="Whether its blocks are written down and do nothing.")
    def dry_run(self) -> bool:
        return self.view.dry_run

    @strawberry.field(description="Whether the operator keeps organizations from switching it.")
    def locked(self) -> bool:
        return self.view.rule.locked

    @strawberry.field(description="How many blocks began in the last 30 days.")
    def triggered_30d(self) -> int:
        return self.view.triggered_30d

    @strawberry.field(description="When one began last.")
    def last_triggered_at(self) -> datetime | None:
        return self.view.last_triggered_at

    @strawberry.field(description="When the organization switched it; null is never.")
    def updated_at(self) -> datetime | None:
        return self.view.updated_at


@strawberry.type(description="What a rule has stopped, and why.")
class AutoBlock(Node):
    row: strawberry.Private[tables.Block]

    @strawberry.field(description="UUID of the rule.")
    def rule_uuid(self) -> UUID:
        return all_rules()[self.row.rule_key].id

    @strawberry.field(description="Of the rule.")
    def rule_key(self) -> str:
        return self.row.rule_key

    @strawberry.field(description="What it is about.")
    def scope(self) -> Scope:
        return Scope(self.row.scope)

    @strawberry.field(description="UUID of what it stops, or a network.")
    def target_id(self) -> str:
        return self.row.target_id

    @strawberry.field(description="What that is called.")
    def target_name(self) -> str:
        return self.row.target_name

    @strawberry.field(description="What it does.")
    def action(self) -> Action:
        return Action(self.row.action)

    @strawberry.field(description="How it is.")
    def status(self) -> BlockStatus:
        return BlockStatus(self.row.status)

    @strawberry.field(description="What was measured.")
    def metric_value(self) -> float:
        return self.row.metric_value

    @strawberry.field(description="What it was compared with.")
    def threshold(self) -> float:
        return self.row.threshold

    @strawberry.field(description="How much there was of it.")
    def sample_size(self) -> int:
        return self.row.sample_size

    @strawberry.field(description="In a sentence.")
    def reason(self) -> str:
        return self.row.reason

    @strawberry.field(description="What the measure was made of.")
    def evidence(self) -> Json:
        return Json(json.loads(self.row.evidence))

    @strawberry.field(description="When it began.")
    def triggered_at(self) -> datetime:
        return self.row.triggered_at

    @strawberry.field(description="When it ends by itself; null is never.")
    def expires_at(self) -> datetime | None:
        return self.row.expires_at

    @strawberry.field(description="When it was resolved.")
    def resolved_at(self) -> datetime | None:
        return self.row.resolved_at

    @strawberry.field(description="UUID of the user who did.")
    def resolved_by(self) -> UUID | None:
        return self.row.resolved_by

    @strawberry.field(description="What they noted.")
    def note(self) -> str | None:
        return self.row.note

    @strawberry.field(description="Until then its rule leaves the target alone.")
    def grace_until(self) -> datetime | None:
        return self.row.grace_until


def _block_type(row: tables.Block) -> AutoBlock:
    return AutoBlock(uuid=row.id, row=row)


async def load_blocks(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, AutoBlock]:
    """Return those of the blocks that the actor may see."""
    return {row.id: _block_type(row) for row in await queries.find_blocks(actor, ids)}


register(AutoBlock, load_blocks)


@strawberry.type(description="How receivers take the organization's mail of the last seven days.")
class ReputationView:
    found: strawberry.Private[Reputation]

    @strawberry.field(description="0 to 100; null of fewer than 100 deliveries that ended.")
    def score(self) -> float | None:
        return self.found.score

    @strawberry.field(description="Deliveries.")
    def delivered(self) -> int:
        return self.found.delivered

    @strawberry.field(description="Hard bounces.")
    def hard_bounced(self) -> int:
        return self.found.hard_bounced

    @strawberry.field(description="Blocks by receivers.")
    def blocked(self) -> int:
        return self.found.blocked

    @strawberry.field(description="Complaints.")
    def complained(self) -> int:
        return self.found.complained

    @strawberry.field(description="How strictly rules judge it; the operator says so.")
    def policy(self) -> Strictness:
        return self.found.strictness


@strawberry.type(description="A scanner as it is now.")
class ScannerStatus:
    found: strawberry.Private[Scanner]

    @strawberry.field(description="Whether the deployment has one.")
    def enabled(self) -> bool:
        return self.found.is_configured

    @strawberry.field(description="Whether it answered just now.")
    def healthy(self) -> bool:
        return self.found.is_healthy

    @strawberry.field(description="`rspamd` or `clamav`.")
    def engine(self) -> str:
        return self.found.engine

    @strawberry.field(description="Which one; null if it did not say.")
    def version(self) -> str | None:
        return self.found.version

    @strawberry.field(description="How old its signatures are; null if it does not say.")
    def signatures_updated_at(self) -> datetime | None:
        return self.found.signatures_updated_at

    @strawberry.field(description="Why it does not work.")
    def problem(self) -> str | None:
        return self.found.problem


@strawberry.type(description="How protection is, as a whole.")
class SecurityStatus:
    found: strawberry.Private[Status]

    @strawberry.field(description="The worst of the parts.")
    def overall(self) -> Overall:
        return self.found.overall

    @strawberry.field(description="Whether mail from outside is greylisted.")
    def greylisting_enabled(self) -> bool:
        return self.found.greylisting_enabled

    @strawberry.field(description="Triplets that may still come again.")
    def greylisting_pending(self) -> int:
        return self.found.greylisting_pending

    @strawberry.field(description="Blocklists that are asked.")
    def blocklists(self) -> int:
        return self.found.blocklists.lists

    @strawberry.field(description="Blocklists that failed their last test.")
    def failing_blocklists(self) -> int:
        return self.found.blocklists.unhealthy

    @strawberry.field(description="Whether any of them is believed.")
    def blocklists_healthy(self) -> bool:
        return self.found.blocklists.is_healthy

    @strawberry.field(description="Answers of theirs that are kept for the organization.")
    def cached_results(self) -> int:
        return self.found.blocklists.kept_answers

    @strawberry.field(description="Addresses of vMTAs that are on one.")
    def listed_addresses(self) -> int:
        return self.found.blocklists.listed_addresses

    @strawberry.field(description="When an address of a vMTA was last looked up.")
    def last_sweep_at(self) -> datetime | None:
        return self.found.blocklists.last_checked_at

    @strawberry.field(description="The spam scanner, rspamd.")
    def spam_scanner(self) -> ScannerStatus:
        return ScannerStatus(found=self.found.spam_scanner)

    @strawberry.field(description="The virus scanner, clamd.")
    def virus_scanner(self) -> ScannerStatus:
        return ScannerStatus(found=self.found.virus_scanner)

    @strawberry.field(description="Whether rules are looked at.")
    def auto_block_enabled(self) -> bool:
        return self.found.auto_block_enabled

    @strawberry.field(description="Rules that are on for the organization.")
    def rules_enabled(self) -> int:
        return self.found.rules_enabled

    @strawberry.field(description="All rules.")
    def rules_total(self) -> int:
        return self.found.rules_total

    @strawberry.field(description="Blocks that hold now.")
    def active_blocks(self) -> int:
        return self.found.active_blocks

    @strawberry.field(description="When the certificate of SMTP ends; null without one.")
    def certificate_expires_at(self) -> datetime | None:
        return self.found.certificate_expires_at

    @strawberry.field(description="The oldest TLS that SMTP takes.")
    def minimum_tls_version(self) -> str:
        return MINIMUM_TLS

    @strawberry.field(description="When that was so.")
    def updated_at(self) -> datetime:
        return self.found.updated_at


@strawberry.input(description="Which blocks to list.")
class AutoBlockFilter:
    rule: str | None = strawberry.field(default=None, description="Key of their rule.")
    scope: Scope | None = strawberry.field(default=None, description="What they are about.")
    target: str | None = strawberry.field(
        default=None, description="UUID of what they stop, or a network."
    )


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="The rules that stop what hurts, as they are for the organization. Needs "
        "`security:read`."
    )
    async def auto_block_rules(
        self,
        info: Info,
        enabled: Annotated[
            bool | None, strawberry.argument(description="Only those looked at, or the others.")
        ] = None,
        scope: Annotated[
            Scope | None, strawberry.argument(description="Only those about this.")
        ] = None,
    ) -> list[AutoBlockRule]:
        found = await queries.list_rules(actor_of(info), enabled=enabled, scope=scope)
        return [AutoBlockRule(view=view) for view in found]

    @strawberry.field(
        description="What is stopped now, newest first, and what dry runs would stop. Needs "
        "`security:read`."
    )
    async def auto_blocks(
        self,
        info: Info,
        filter: Annotated[
            AutoBlockFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AutoBlock]:
        wanted = filter or AutoBlockFilter()
        found = await queries.list_active_blocks(
            actor_of(info),
            page=page_request(first, after, last, before, maximum=500),
            rule=wanted.rule,
            scope=wanted.scope,
            target_id=wanted.target,
        )
        return to_connection(found, _block_type)

    @strawberry.field(
        description="How receivers take the organization's mail. Needs `security:read`."
    )
    async def reputation(self, info: Info) -> ReputationView:
        return ReputationView(found=await queries.get_reputation(actor_of(info)))

    @strawberry.field(
        description="How protection is, as a whole; scanners are asked. Needs `security:read`."
    )
    async def security_status(self, info: Info) -> SecurityStatus:
        return SecurityStatus(found=await get_status(actor_of(info)))


@strawberry.input(description="A rule to switch.")
class SwitchAutoBlockRuleInput:
    rule: str = strawberry.field(description="Its UUID or key.")
    enabled: bool | None = strawberry.field(
        default=None, description="Left out, the opposite of now, unless `dryRun` is given."
    )
    dry_run: bool | None = strawberry.field(
        default=None, description="Whether its blocks do nothing; left out, as before."
    )


@strawberry.type(description="A rule as it is from now on.")
class SwitchAutoBlockRulePayload:
    rule: AutoBlockRule = strawberry.field(description="The rule.")


@strawberry.input(description="A block to end.")
class ResolveAutoBlockInput:
    block_id: strawberry.ID = strawberry.field(description="Id or UUID of the block.")
    note: str | None = strawberry.field(default=None, description="At most 500 characters.")
    grace_seconds: int = strawberry.field(
        default=3600, description="How long its rule leaves the target alone, 0 to 86400."
    )


@strawberry.type(description="A block that has ended.")
class ResolveAutoBlockPayload:
    block: AutoBlock = strawberry.field(description="The block.")


@strawberry.input(description="How strictly to judge an organization.")
class SetReputationPolicyInput:
    organization_id: strawberry.ID = strawberry.field(description="Id or UUID of it.")
    policy: Strictness = strawberry.field(description="How.")


@strawberry.type(description="How strictly an organization is judged from now on.")
class SetReputationPolicyPayload:
    policy: Strictness = strawberry.field(description="As it was asked for.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Switch a rule on or off, or to a dry run; blocks that hold stay. Needs "
        "`security:write`."
    )
    async def switch_auto_block_rule(
        self,
        info: Info,
        input: Annotated[SwitchAutoBlockRuleInput, strawberry.argument(description="Which.")],
    ) -> SwitchAutoBlockRulePayload:
        view = await operations.switch_rule(
            actor_of(info), input.rule, enabled=input.enabled, dry_run=input.dry_run
        )
        return SwitchAutoBlockRulePayload(rule=AutoBlockRule(view=view))

    @strawberry.mutation(
        description="End a block and undo what it did; one that has ended stays as it is. Needs "
        "`security:write`."
    )
    async def resolve_auto_block(
        self,
        info: Info,
        input: Annotated[ResolveAutoBlockInput, strawberry.argument(description="Which.")],
    ) -> ResolveAutoBlockPayload:
        row = await operations.resolve_block(
            actor_of(info),
            parse_id(input.block_id, "AutoBlock"),
            note=input.note,
            grace_seconds=input.grace_seconds,
        )
        return ResolveAutoBlockPayload(block=_block_type(row))

    @strawberry.mutation(
        description="Say how strictly an organization is judged; for whoever looks after the "
        "deployment."
    )
    async def set_reputation_policy(
        self,
        info: Info,
        input: Annotated[SetReputationPolicyInput, strawberry.argument(description="How.")],
    ) -> SetReputationPolicyPayload:
        id = OrganizationId(parse_id(input.organization_id, "Organization"))
        await operations.set_strictness(actor_of(info), id, input.policy)
        return SetReputationPolicyPayload(policy=input.policy)
