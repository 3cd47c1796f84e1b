"""Scanning: what rspamd says of messages, and clamd of files."""

from datetime import datetime
from typing import Annotated

import strawberry

from ..messages.operations import score
from ..messages.operations.send import decode_raw
from ..messages.rules import NewAttachment
from ..scanning import operations, queries
from ..scanning.rules import (
    USUAL_THRESHOLD,
    FileVerdict,
    Policy,
    SpamVerdict,
    WhenDown,
    suggestions_for,
)
from .context import Info, actor_of
from .enums import describe_enum
from .sending import AttachmentInput, HeaderInput

describe_enum(
    SpamVerdict,
    "Whether a message looks like spam.",
    {
        "PASS": "Its score is below 60 % of the threshold.",
        "WARN": "It is near the threshold.",
        "FAIL": "It has reached the threshold.",
    },
)
describe_enum(
    FileVerdict,
    "What came of scanning a file for viruses.",
    {
        "CLEAN": "None was found.",
        "INFECTED": "One was found.",
        "UNSCANNABLE": "It is encrypted, nested too deeply, or larger than the scanner takes.",
    },
)
describe_enum(
    WhenDown,
    "What becomes of mail that has to be scanned while the scanner does not answer.",
    {"HOLD": "It is tried again later.", "PASS": "It goes on without a scan."},
    name="WhenScannerDown",
)


@strawberry.type(description="A reason of a spam score.")
class SpamRule:
    name: str = strawberry.field(description="As rspamd calls it.")
    score: float = strawberry.field(description="What it adds; below nought it takes away.")
    description: str = strawberry.field(description="What it looks at.")


@strawberry.type(description="What would lower a spam score.")
class SpamSuggestion:
    code: str = strawberry.field(description="Such as `missing_text_part`.")
    message: str = strawberry.field(description="In a sentence.")


@strawberry.input(description="A message to score: `raw`, or what one is composed of.")
class CheckSpamInput:
    raw: str | None = strawberry.field(
        default=None, description="A whole RFC 5322 message in base64, at most 25 MiB."
    )
    sender: str | None = strawberry.field(
        default=None, name="from", description="One mailbox; needed with html or text."
    )
    to: list[str] = strawberry.field(default_factory=list, description="Mailboxes.")
    subject: str | None = strawberry.field(default=None, description="Up to 998 characters.")
    html: str | None = strawberry.field(default=None, description="At most 5 MiB.")
    text: str | None = strawberry.field(default=None, description="At most 5 MiB.")
    headers: list[HeaderInput] = strawberry.field(
        default_factory=list, description="Header fields of your own."
    )
    attachments: list[AttachmentInput] = strawberry.field(
        default_factory=list, description="Files."
    )
    threshold: float = strawberry.field(
        default=USUAL_THRESHOLD, description="From which score on it is spam, 1 to 20."
    )


@strawberry.type(description="How much like spam a message looks.")
class CheckSpamPayload:
    scored: strawberry.Private[operations.Scored]

    @strawberry.field(description="The sum of its rules.")
    def score(self) -> float:
        return self.scored.report.score

    @strawberry.field(description="As it was asked for.")
    def threshold(self) -> float:
        return self.scored.threshold

    @strawberry.field(description="What that makes of it.")
    def verdict(self) -> SpamVerdict:
        return self.scored.verdict

    @strawberry.field(description="Whether it has reached the threshold.")
    def is_spam(self) -> bool:
        return self.scored.verdict is SpamVerdict.FAIL

    @strawberry.field(description="What scored it.")
    def engine(self) -> str:
        return "rspamd"

    @strawberry.field(description="Which one; null if it does not say.")
    def engine_version(self) -> str | None:
        return self.scored.report.version

    @strawberry.field(description="Why, those that matter most first.")
    def rules(self) -> list[SpamRule]:
        return [
            SpamRule(name=each.name, score=each.score, description=each.description)
            for each in self.scored.report.rules
        ]

    @strawberry.field(description="What would lower the score.")
    def suggestions(self) -> list[SpamSuggestion]:
        found = suggestions_for(self.scored.report.rules)
        return [SpamSuggestion(code=code, message=message) for code, message in found]

    @strawberry.field(description="What it cost; a sandbox key pays nothing.")
    def credits_consumed(self) -> int:
        return self.scored.credits

    @strawberry.field(description="How long the scanner took.")
    def duration_ms(self) -> int:
        return self.scored.duration_ms


@strawberry.type(description="A virus in a file, or why the file was not scanned.")
class Threat:
    name: str = strawberry.field(description="As ClamAV calls it.")
    file: str = strawberry.field(description="In which file.")


@strawberry.input(description="A file to scan for viruses.")
class ScanFileInput:
    filename: str = strawberry.field(description="1 to 255 characters.")
    content: str = strawberry.field(description="Its bytes in base64, at most 25 MiB of them.")


@strawberry.type(description="What came of scanning a file.")
class ScanFilePayload:
    scanned: strawberry.Private[operations.ScannedUpload]

    @strawberry.field(description="What came of it.")
    def verdict(self) -> FileVerdict:
        return self.scanned.report.verdict

    @strawberry.field(description="Whether it is a virus.")
    def infected(self) -> bool:
        return self.scanned.report.verdict is FileVerdict.INFECTED

    @strawberry.field(description="Which.")
    def threats(self) -> list[Threat]:
        return [Threat(name=n, file=self.scanned.filename) for n in self.scanned.report.threats]

    @strawberry.field(description="As it was given.")
    def filename(self) -> str:
        return self.scanned.filename

    @strawberry.field(description="How large it is.")
    def size_bytes(self) -> int:
        return self.scanned.size_bytes

    @strawberry.field(description="Its SHA-256 in hexadecimal digits; kept for a day.")
    def sha256(self) -> str:
        return self.scanned.sha256

    @strawberry.field(description="What scanned it.")
    def engine(self) -> str:
        return "clamav"

    @strawberry.field(description="Which one.")
    def engine_version(self) -> str:
        return self.scanned.engine.version

    @strawberry.field(description="How old what it knows of viruses is; null if it does not say.")
    def signatures_updated_at(self) -> datetime | None:
        return self.scanned.engine.signatures_updated_at

    @strawberry.field(description="What it cost; a sandbox key pays nothing.")
    def credits_consumed(self) -> int:
        return self.scanned.credits

    @strawberry.field(description="How long the scanner took.")
    def duration_ms(self) -> int:
        return self.scanned.duration_ms


@strawberry.type(
    description="What the organization says itself about scans; null leaves it to the deployment."
)
class OwnScanPolicy:
    outgoing_virus: bool | None = strawberry.field(description="Outgoing mail, for viruses.")
    outgoing_spam: bool | None = strawberry.field(description="The same, for spam.")
    inbound_virus: bool | None = strawberry.field(description="Mail from outside, for viruses.")
    inbound_spam: bool | None = strawberry.field(description="The same, for spam.")
    spam_threshold: float | None = strawberry.field(description="From which score on mail is spam.")
    when_down: WhenDown | None = strawberry.field(
        description="What becomes of mail while the scanner does not answer."
    )


@strawberry.type(description="What is scanned by itself for the organization.")
class ScanPolicy:
    outgoing_virus: bool = strawberry.field(
        description="Outgoing mail, for viruses, before its first attempt."
    )
    outgoing_spam: bool = strawberry.field(description="The same, for spam.")
    inbound_virus: bool = strawberry.field(
        description="Mail from outside, for viruses, before it is taken; reports about mail that "
        "was sent are always taken."
    )
    inbound_spam: bool = strawberry.field(description="The same, for spam.")
    spam_threshold: float = strawberry.field(description="From which score on mail is spam.")
    when_down: WhenDown = strawberry.field(
        description="What becomes of it while the scanner does not answer."
    )

    @strawberry.field(description="The part of it that the organization says itself.")
    async def own(self, info: Info) -> OwnScanPolicy:
        found = await queries.get_own_policy(actor_of(info))
        return OwnScanPolicy(
            outgoing_virus=found.outgoing_virus,
            outgoing_spam=found.outgoing_spam,
            inbound_virus=found.inbound_virus,
            inbound_spam=found.inbound_spam,
            spam_threshold=found.spam_threshold,
            when_down=found.when_down,
        )


def _policy_type(found: Policy) -> ScanPolicy:
    return ScanPolicy(
        outgoing_virus=found.outgoing_virus,
        outgoing_spam=found.outgoing_spam,
        inbound_virus=found.inbound_virus,
        inbound_spam=found.inbound_spam,
        spam_threshold=found.spam_threshold,
        when_down=found.when_down,
    )


@strawberry.input(
    description="What to scan by itself; what is null or left out is the deployment's to say."
)
class SetScanPolicyInput:
    outgoing_virus: bool | None = strawberry.field(
        default=None, description="Scan outgoing mail for viruses; what has one bounces."
    )
    outgoing_spam: bool | None = strawberry.field(
        default=None, description="Scan outgoing mail for spam; what is spam bounces."
    )
    inbound_virus: bool | None = strawberry.field(
        default=None, description="Scan mail from outside for viruses; what has one is refused."
    )
    inbound_spam: bool | None = strawberry.field(
        default=None, description="Scan mail from outside for spam; what is spam is refused."
    )
    spam_threshold: float | None = strawberry.field(
        default=None, description="From which score on mail is spam, 1 to 20."
    )
    when_down: WhenDown | None = strawberry.field(
        default=None, description="What becomes of mail while the scanner does not answer."
    )


@strawberry.type(description="What is scanned by itself from now on.")
class SetScanPolicyPayload:
    policy: ScanPolicy = strawberry.field(description="With the deployment's part.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="What is scanned by itself. Needs `security:read`.")
    async def scan_policy(self, info: Info) -> ScanPolicy:
        return _policy_type(await queries.get_policy(actor_of(info)))


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Tell how much like spam a message looks. It is not sent, and nothing of it "
        "is kept. Costs one `SPAM_CHECK` credit. Needs `security:scan`."
    )
    async def check_spam(
        self,
        info: Info,
        input: Annotated[CheckSpamInput, strawberry.argument(description="The message.")],
    ) -> CheckSpamPayload:
        new = score.NewScore(
            raw=input.raw,
            sender=input.sender,
            to=input.to,
            subject=input.subject,
            html=input.html,
            text=input.text,
            headers=[(header.name, header.value) for header in input.headers],
            attachments=[
                NewAttachment(
                    each.filename,
                    each.content,
                    each.content_type,
                    each.disposition,
                    each.content_id,
                )
                for each in input.attachments
            ],
            threshold=input.threshold,
        )
        return CheckSpamPayload(scored=await score.score_message(actor_of(info), new))

    @strawberry.mutation(
        description="Scan a file for viruses. It is not kept; its hash is, for a day. Costs one "
        "`AV_SCAN` credit. Needs `security:scan`."
    )
    async def scan_file(
        self,
        info: Info,
        input: Annotated[ScanFileInput, strawberry.argument(description="The file.")],
    ) -> ScanFilePayload:
        scanned = await operations.scan_file(
            actor_of(info),
            decode_raw(input.content, field="content"),
            filename=input.filename,
        )
        return ScanFilePayload(scanned=scanned)

    @strawberry.mutation(
        description="Say what is scanned by itself, instead of what was said before. Needs "
        "`security:write`."
    )
    async def set_scan_policy(
        self,
        info: Info,
        input: Annotated[SetScanPolicyInput, strawberry.argument(description="What.")],
    ) -> SetScanPolicyPayload:
        change = operations.PolicyChange(
            outgoing_virus=input.outgoing_virus,
            outgoing_spam=input.outgoing_spam,
            inbound_virus=input.inbound_virus,
            inbound_spam=input.inbound_spam,
            spam_threshold=input.spam_threshold,
            when_down=input.when_down,
        )
        found = await operations.set_scan_policy(actor_of(info), change)
        return SetScanPolicyPayload(policy=_policy_type(found))
