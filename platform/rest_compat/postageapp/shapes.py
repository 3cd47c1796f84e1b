"""PostageApp's words ↔ ours: a message with its transmissions, which are deliveries."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SOURCE = "https://dev.postageapp.com/api"
NEVER = "9999-12-31T23:59:59Z"
"""When a suppression ends that does not."""

STATES = {
    "SCHEDULED": "queued",
    "QUEUED": "queued",
    "SENDING": "queued",
    "DEFERRED": "retry",
    "DELIVERED": "completed",
    "BOUNCED": "failed",
    "EXPIRED": "failed",
    "CANCELLED": "failed",
    "SUPPRESSED": "rejected",
}
"""Of a transmission."""
IN_FLIGHT = frozenset({"queued", "retry"})

REASONS = {
    "HARD_BOUNCE": ("rejected", "hard_bounce"),
    "SOFT_BOUNCE_COOLING": ("warning", "soft_bounce"),
    "COMPLAINT": ("rejected", "spam_report"),
    "UNSUBSCRIBE": ("rejected", "opt_out"),
    "MANUAL": ("rejected", "opt_out"),
    "ERASED": ("rejected", "opt_out"),
}
"""Why an address is suppressed: their status and their state."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a route answers: its data, and what its response says beside status and uid."""

    data: Any = field(default_factory=dict)
    response: Mapping[str, Any] = field(default_factory=dict)


def iso(text: str) -> str:
    """Return a time of ours as ISO 8601 with `Z`, without a fraction of a second."""
    return _time(text).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(text: str | None) -> str | None:
    """Return a time of ours as `YYYY-MM-DD HH:MM:SS` in UTC."""
    return None if text is None else _time(text).strftime("%Y-%m-%d %H:%M:%S")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def recipient(delivery: Mapping[str, Any]) -> str:
    """Return whom a delivery is for, also if somebody else got it."""
    found: str = delivery["standsFor"] or delivery["address"]
    return found


TRANSMISSION = "address standsFor state code reply createdAt settledAt firstOpenedAt firstClickedAt"


def transmission(delivery: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far one recipient's mail is."""
    word = STATES[delivery["state"]]
    is_over = word not in IN_FLIGHT
    code = delivery["code"] if is_over else None
    reply = delivery["reply"] if is_over else None
    return {
        "status": word,
        "created_at": plain(delivery["createdAt"]),
        "failed_at": plain(delivery["settledAt"]) if word == "failed" else None,
        "opened_at": plain(delivery["firstOpenedAt"]),
        "clicked_at": plain(delivery["firstClickedAt"]),
        "result_code": f"SMTP_{code}" if code is not None else None,
        "result_message": reply,
        "error_message": reply,
    }


COUNTS = "deliveryCounts { state count }"


def counts(message: Mapping[str, Any]) -> Counter[str]:
    """Return how many transmissions of a message there are with each word."""
    found: Counter[str] = Counter()
    for each in message["deliveryCounts"]:
        found[STATES[each["state"]]] += each["count"]
    return found


def word_of(found: Mapping[str, int]) -> str:
    """Return the one word for a message."""
    if any(found.get(word) for word in IN_FLIGHT):
        return "queued"
    return "failed" if found.get("failed") else "completed"


def unique_id(delivery: Mapping[str, Any], message_id: str) -> str:
    """Return what names one transmission."""
    return f"{delivery['token']}@{message_id.rpartition('@')[2] or 'localhost'}"


def message_row(message: Mapping[str, Any], project: int) -> dict[str, Any]:
    """Return a message as `get_messages` lists it."""
    found = counts(message)
    return {
        "project_id": project,
        "template": message["templateSlug"],
        "transmissions_total": sum(found.values()),
        "transmissions_failed": found["failed"],
        "transmissions_completed": found["completed"],
        "created_at": iso(message["createdAt"]),
        "will_purge_at": iso(message["keptUntil"]),
    }


def suppressed(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the suppression list; of several reasons for one address the weightiest counts."""
    found: dict[str, Any] = {}
    for row in rows:
        status, state = REASONS[row["reason"]]
        address = row["address"]
        if address in found and found[address]["status"] == "rejected":
            continue
        found[address] = {
            "status": status,
            "suppression_state": state,
            "blocked_until": iso(row["expiresAt"]) if row["expiresAt"] else NEVER,
            "message": row["description"] or "",
        }
    return found


RECIPIENT = "address standsFor state reply bounceClass opens clicks suppression { reason }"
HARD = frozenset({"INVALID_RECIPIENT", "INACTIVE_MAILBOX", "BAD_DOMAIN"})


def recipient_info(delivery: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a recipient by one message, with a score of 0 to 100."""
    word = STATES[delivery["state"]]
    reason = (delivery["suppression"] or {}).get("reason")
    failed = delivery["bounceClass"] is not None and word in ("failed", "retry")
    hard = failed and delivery["bounceClass"] in HARD
    opens, clicks = delivery["opens"], delivery["clicks"]
    found = {
        "opened_count": opens,
        "clicked_count": clicks,
        "soft_bounce_count": int(failed and not hard),
        "hard_bounce_count": int(hard or reason == "HARD_BOUNCE"),
        "opt_out_count": int(reason in ("UNSUBSCRIBE", "MANUAL", "ERASED")),
        "spam_report_count": int(reason == "COMPLAINT"),
    }
    is_bad = found["hard_bounce_count"] or found["opt_out_count"] or found["spam_report_count"]
    if is_bad or word == "rejected":
        status, score = "rejected", 0
    elif found["soft_bounce_count"]:
        status, score = "warning", 25
    else:
        score = 50 + 10 * (word == "completed") + 20 * bool(opens) + 20 * bool(clicks)
        status = "good"
    return {"status": status, "score": score, **found, "message": delivery["reply"] or ""}


MEASURED = (
    "accepted delivered uniqueOpens uniqueClicks bounced expired suppressed cancelled complained"
)
SERIES = (
    "delivered",
    "opened",
    "failed",
    "rejected",
    "created",
    "queued",
    "clicked",
    "spammed",
)
PERIODS = ("hour", "date", "week", "month")
WITHOUT_SHARE = frozenset({"created", "queued"})


def periods(now: datetime) -> dict[str, tuple[datetime, datetime]]:
    """Return the beginnings of each period that runs and of the one before it, in UTC."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    week, month = day - timedelta(days=day.weekday()), day.replace(day=1)
    return {
        "hour": (hour, hour - timedelta(hours=1)),
        "date": (day, day - timedelta(days=1)),
        "week": (week, week - timedelta(weeks=1)),
        "month": (month, (month - timedelta(days=1)).replace(day=1)),
    }


def values(metrics: Mapping[str, int]) -> dict[str, int]:
    """Return the eight series of one stretch of time."""
    ended = ("delivered", "bounced", "expired", "suppressed", "cancelled")
    return {
        "delivered": metrics["delivered"],
        "opened": metrics["uniqueOpens"],
        "failed": metrics["bounced"] + metrics["expired"],
        "rejected": metrics["suppressed"],
        "created": metrics["accepted"],
        "queued": max(0, metrics["accepted"] - sum(metrics[name] for name in ended)),
        "clicked": metrics["uniqueClicks"],
        "spammed": metrics["complained"],
    }


def compared(current: Mapping[str, int], previous: Mapping[str, int]) -> dict[str, Any]:
    """Return one period's series beside those of the period before."""
    found = {}
    for name in SERIES:
        now, then = _share(name, current), _share(name, previous)
        found[name] = {
            "current_percent": now,
            "previous_percent": then,
            "diff_percent": now - then,
            "current_value": current[name],
            "previous_value": previous[name],
        }
    return found


def _share(name: str, found: Mapping[str, int]) -> float:
    created = found["created"]
    return 0.0 if name in WITHOUT_SHARE or not created else 100.0 * found[name] / created


PROJECT = "number uid name groupName stream url createdAt tracking { opens clicks }"


def project(row: Mapping[str, Any], key: str | None = None) -> dict[str, Any]:
    """Return a project; its key is known when it is made and never again."""
    return {
        "id": row["number"],
        "uid": row["uid"],
        "label": row["name"],
        "group": row["groupName"],
        "open_tracking": bool(row["tracking"]["opens"]),
        "click_tracking": bool(row["tracking"]["clicks"]),
        "unsubscribe_header": row["stream"] == "MARKETING",
        "api_key": key,
        "url": row["url"],
        "created_at": iso(row["createdAt"]),
    }


def people(members: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return names by address."""
    return {each["email"]: each["name"] or "" for each in members}
