"""How the whole deployment runs, for whoever looks after it."""

from datetime import datetime

import strawberry

from ..core.actor import require_platform_admin
from ..core.findings import CHECKS, Verdict, findings_of
from ..core.queue import count_jobs
from ..events.consuming import consumer_lags
from .context import Info, actor_of
from .enums import describe_enum

CHECK_SECONDS = 8.0
"""How long one check may take while somebody waits for the page."""

describe_enum(
    Verdict,
    "How a check ended.",
    {
        "OK": "All is well.",
        "WARNING": "It deserves a look.",
        "FAULT": "It keeps mail from being sent, or makes the deployment unsafe.",
    },
    name="FindingVerdict",
)


@strawberry.type(description="What one check of the deployment found.")
class DeploymentFinding:
    subject: str = strawberry.field(description="What was looked at.")
    verdict: Verdict = strawberry.field(description="How it ended.")
    sentence: str = strawberry.field(description="What was found.")
    remedy: str = strawberry.field(description="What to do about it; empty if all is well.")


@strawberry.type(description="How the job queue stands.")
class JobQueue:
    queued: int = strawberry.field(description="Jobs that wait for a worker.")
    active: int = strawberry.field(description="Jobs that run.")
    scheduled: int = strawberry.field(description="Jobs that wait for their time.")
    workers: int = strawberry.field(description="Workers that have shown themselves lately.")


@strawberry.type(description="What takes each event once, and how far it is behind.")
class EventConsumer:
    name: str = strawberry.field(description="Which one.")
    events: int = strawberry.field(description="Events that wait for it.")
    seconds: float = strawberry.field(description="How long the oldest of them has waited.")
    looked_at: datetime = strawberry.field(description="When it looked last.")


@strawberry.type(description="How the whole deployment runs.")
class Deployment:
    @strawberry.field(
        description="What `postlane doctor` finds, but for what reads long, and what to do about "
        "it; looked at now, by the process that answers."
    )
    async def findings(self) -> list[DeploymentFinding]:
        found = await findings_of(CHECKS, seconds=CHECK_SECONDS)
        return [
            DeploymentFinding(
                subject=each.subject,
                verdict=each.verdict,
                sentence=each.sentence,
                remedy=each.remedy,
            )
            for each in found
        ]

    @strawberry.field(description="The job queue.")
    async def job_queue(self) -> JobQueue:
        found = await count_jobs()
        return JobQueue(
            queued=found.queued,
            active=found.active,
            scheduled=found.scheduled,
            workers=found.workers,
        )

    @strawberry.field(description="What follows events, by name.")
    async def consumers(self) -> list[EventConsumer]:
        return [
            EventConsumer(
                name=lag.consumer, events=lag.events, seconds=lag.seconds, looked_at=lag.looked_at
            )
            for lag in await consumer_lags()
        ]


@strawberry.type
class Query:
    @strawberry.field(
        description="How the whole deployment runs. For who looks after it, signed in as a person."
    )
    def deployment(self, info: Info) -> Deployment:
        require_platform_admin(actor_of(info))
        return Deployment()
