"""API keys and their secrets, signing keys, rate limits, idempotency records."""

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    Boolean,
    Bytea,
    DoublePrecision,
    ForeignKey,
    Integer,
    OnDelete,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..accounts.tables import Membership, Organization, Project, User
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class ApiKey(Table, db=DB, tablename="api_keys"):
    """What a program signs in with."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = ForeignKey(
        Project, null=True, on_delete=OnDelete.cascade, help_text="Null: every project."
    )
    name = Varchar(100)
    scopes = Array(Varchar(40), help_text="As asked for; may hold * and group:*.")
    mode = Varchar(10, default="live", help_text="live or sandbox.")
    format = Varchar(20, default="standard", help_text="standard, postal or postageapp.")
    status = Varchar(20, default="active", help_text="active or disabled: what people say.")
    blocked_by = UUID(null=True, default=None, help_text="The auto-block that keeps it off.")
    allowed_networks = Array(Varchar(43), default=list, help_text="CIDR; empty is any.")
    allowed_domains = Array(Varchar(253), default=list, help_text="Empty is any.")
    rate_limit_per_minute = Integer(null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)
    created_by = ForeignKey(User, null=True, on_delete=OnDelete.set_null)
    membership_id = ForeignKey(
        Membership,
        null=True,
        on_delete=OnDelete.set_null,
        help_text="The maker's; null once it ended, and the key is disabled for good.",
    )
    last_used_at = Timestamptz(null=True, default=None)
    last_used_address = Varchar(45, null=True, default=None)
    rotated_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)


class ApiKeySecret(Table, db=DB, tablename="api_key_secrets"):
    """One secret of a key; two are valid during the grace of a rotation."""

    id = UUID(primary_key=True, default=new_id)
    api_key_id = ForeignKey(ApiKey, null=False, on_delete=OnDelete.cascade)
    prefix = Varchar(16, help_text="The part that may be shown.")
    digest = Bytea(unique=True, secret=True, help_text="Keyed SHA-256 of the whole secret.")
    expires_at = Timestamptz(null=True, default=None, help_text="End of the grace.")
    created_at = Timestamptz(default=clock.now)


class ApiKeyUse(Table, db=DB, tablename="api_key_uses"):
    """How many requests came with a key in one hour; kept for two days."""

    id = UUID(primary_key=True, default=new_id)
    api_key_id = ForeignKey(ApiKey, null=False, on_delete=OnDelete.cascade)
    hour = Timestamptz(help_text="Start of the hour.")
    requests = BigInt(default=0)


class LoginAttempt(Table, db=DB, tablename="login_attempts"):
    """Attempts at one email address, known or not, that have not succeeded; five lock it."""

    email_digest = Bytea(primary_key=True, secret=True, help_text="Keyed SHA-256.")
    attempts = SmallInt(help_text="Since `since`, at most 5.")
    since = Timestamptz(help_text="First attempt; when the fifth was made, that one.")


class SigningKey(Table, db=DB, tablename="signing_keys"):
    """An Ed25519 key that signs JWTs; a retired one still verifies until it is removed."""

    id = UUID(primary_key=True, default=new_id)
    private_key = Bytea(secret=True, help_text="Raw 32 bytes, sealed.")
    created_at = Timestamptz(default=clock.now)
    retired_at = Timestamptz(null=True, default=None)


class AbuseCount(Table, db=DB, tablename="abuse_counts"):
    """How often somebody did something wrong in one minute."""

    id = UUID(primary_key=True, default=new_id)
    kind = Varchar(20)
    subject = Varchar(64, help_text="A network, or the id of an API key.")
    organization_id = UUID(null=True, default=None, help_text="Null: nobody's.")
    minute_at = Timestamptz()
    times = Integer()


class BlockedAddress(Table, db=DB, tablename="blocked_addresses"):
    """A network that nobody may sign in from."""

    id = UUID(primary_key=True, default=new_id)
    network = Varchar(64, unique=True, help_text="An address, or an IPv6 network of 64 bits.")
    block_id = UUID(help_text="The auto-block that says so.")
    expires_at = Timestamptz(null=True, default=None, help_text="Null: until it is resolved.")
    created_at = Timestamptz(default=clock.now)


class RateBucket(Table, db=DB, tablename="rate_buckets"):
    """What is left of one limit; shared by all processes, lost without harm."""

    key = Varchar(200, primary_key=True)
    tokens = DoublePrecision(help_text="Requests left at updated_at.")
    updated_at = Timestamptz(default=clock.now)


class IdempotencyRecord(Table, db=DB, tablename="idempotency_records"):
    """The answer to one request that may be repeated; kept for 24 hours."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    operation = Varchar(60)
    key = Varchar(255)
    fingerprint = Bytea(help_text="SHA-256 of the input.")
    kind = SmallInt(help_text="0 result, 1 refusal.")
    answer = JSONB()
    created_at = Timestamptz(default=clock.now)


class SignInSession(Table, db=DB, tablename="sessions"):
    """A token that was issued, under its `jti`: where it was signed in and where it was used."""

    id = UUID(primary_key=True)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    token_version = Integer(help_text="The person's at that time; a higher one has ended it.")
    source_address = Varchar(45, null=True, default=None)
    user_agent = Varchar(200, default="")
    last_used_at = Timestamptz(null=True, default=None)
    last_used_address = Varchar(45, null=True, default=None)
    expires_at = Timestamptz()
    created_at = Timestamptz(default=clock.now)


class PasswordReset(Table, db=DB, tablename="password_resets"):
    """A link that chooses a new password, good once; for nobody where no account was asked for."""

    id = UUID(primary_key=True, default=new_id)
    user_id = ForeignKey(User, null=True, on_delete=OnDelete.cascade)
    token_digest = Bytea(unique=True, secret=True, help_text="Keyed SHA-256.")
    expires_at = Timestamptz()
    created_at = Timestamptz(default=clock.now)


class UsedPassword(Table, db=DB, tablename="used_passwords"):
    """The hash of a password that a person has had; the last four are kept."""

    id = UUID(primary_key=True, default=new_id)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade)
    password_hash = Varchar(200, secret=True, help_text="Argon2id, PHC string.")
    created_at = Timestamptz(default=clock.now, help_text="When another took its place.")


class SecondFactor(Table, db=DB, tablename="second_factors"):
    """The secret that a person's authenticator shares with us, once its first code was right."""

    id = UUID(primary_key=True, default=new_id)
    user_id = ForeignKey(User, null=False, unique=True, on_delete=OnDelete.cascade)
    secret = Bytea(secret=True, help_text="20 bytes, sealed.")
    confirmed_at = Timestamptz(null=True, default=None, help_text="Null: it protects nothing yet.")
    last_step = BigInt(
        default=0, help_text="The 30 seconds of the last code that was taken; none is taken twice."
    )
    created_at = Timestamptz(default=clock.now)


class RecoveryCode(Table, db=DB, tablename="recovery_codes"):
    """A code that stands for the second factor, once; the row goes when it is used."""

    id = UUID(primary_key=True, default=new_id)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade)
    digest = Bytea(secret=True, help_text="Keyed SHA-256.")
    created_at = Timestamptz(default=clock.now)


class Passkey(Table, db=DB, tablename="passkeys"):
    """A key pair whose private half is on a device of the person."""

    id = UUID(primary_key=True, default=new_id)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade)
    credential_id = Bytea(unique=True, help_text="How the device calls it; at most 1023 bytes.")
    public_key = Bytea(help_text="COSE.")
    sign_count = BigInt(default=0, help_text="Only rises; 0 for ever where nothing is counted.")
    name = Varchar(100)
    is_synced = Boolean(default=False, help_text="It may be on several devices.")
    last_used_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)


class ProviderIdentity(Table, db=DB, tablename="provider_identities"):
    """Whom a provider of identities calls somebody: it signs in to one account."""

    id = UUID(primary_key=True, default=new_id)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade)
    issuer = Varchar(500, help_text="URL of the provider.")
    subject = Varchar(255, help_text="Never another person's at that provider.")
    email = Varchar(254, default="", help_text="As it was verified when it was tied.")
    last_used_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)


class SpentChallenge(Table, db=DB, tablename="spent_challenges"):
    """What a device has answered; no answer is taken twice."""

    digest = Bytea(primary_key=True, help_text="SHA-256 of the challenge.")
    expires_at = Timestamptz(help_text="Later an answer would come too late anyway.")


class TokenRevocation(Table, db=DB, tablename="token_revocations"):
    """A token that was signed out before its time."""

    jti = UUID(primary_key=True)
    reason = Text(default="")
    expires_at = Timestamptz(help_text="After this the row may go.")


class Visit(Table, db=DB, tablename="visits"):
    """An operator in an organization that is not theirs; kept for the record when it is over."""

    id = UUID(primary_key=True, default=new_id)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    reason = Varchar(100)
    expires_at = Timestamptz(help_text="When it ends, or ended.")
    created_at = Timestamptz(default=clock.now)
