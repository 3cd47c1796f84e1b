"""An installation of Postal's as its database is: the schema's facts, rows, and a dump of them.

Source: db/schema.rb and lib/postal/message_db of https://github.com/postalserver/postal, 3.3.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_TYPES = {
    "s": "varchar(255) DEFAULT NULL",
    "t": "text DEFAULT NULL",
    "i": "int(11) DEFAULT NULL",
    "b": "tinyint(1) DEFAULT 0",
    "d": "datetime DEFAULT NULL",
    "u": "datetime(6) DEFAULT NULL",
    "n": "decimal(8,2) DEFAULT NULL",
    "e": "decimal(18,6) DEFAULT NULL",
    "l": "longblob DEFAULT NULL",
}
_ESCAPES = {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\0": "\\0"}
"""The backslash first: the others bring some."""
MAIN: Mapping[str, str] = {
    "address_endpoints": "server_id:i uuid:s address:s last_used_at:d created_at:d updated_at:d",
    "credentials": (
        "server_id:i key:s type:s name:s options:t last_used_at:u created_at:u updated_at:u "
        "hold:b uuid:s"
    ),
    "domains": (
        "server_id:i uuid:s name:s verification_token:s verification_method:s verified_at:d "
        "dkim_private_key:t created_at:u updated_at:u dns_checked_at:u spf_status:s spf_error:s "
        "dkim_status:s dkim_error:s mx_status:s mx_error:s return_path_status:s "
        "return_path_error:s outgoing:b incoming:b owner_type:s owner_id:i "
        "dkim_identifier_string:s use_for_any:b"
    ),
    "http_endpoints": (
        "server_id:i uuid:s name:s url:s encoding:s format:s strip_replies:b error:t "
        "disabled_until:u last_used_at:u created_at:u updated_at:u include_attachments:b timeout:i"
    ),
    "organization_users": (
        "organization_id:i user_id:i created_at:u admin:b all_servers:b user_type:s"
    ),
    "organizations": (
        "uuid:s name:s permalink:s time_zone:s created_at:u updated_at:u ip_pool_id:i owner_id:i "
        "deleted_at:u suspended_at:u suspension_reason:s"
    ),
    "queued_messages": (
        "server_id:i message_id:i domain:s locked_by:s locked_at:u retry_after:d created_at:u "
        "updated_at:u ip_address_id:i attempts:i route_id:i manual:b batch_key:s"
    ),
    "routes": (
        "uuid:s server_id:i domain_id:i endpoint_id:i endpoint_type:s name:s spam_mode:s "
        "created_at:u updated_at:u token:s mode:s"
    ),
    "servers": (
        "organization_id:i uuid:s name:s mode:s ip_pool_id:i created_at:u updated_at:u "
        "permalink:s send_limit:i deleted_at:u message_retention_days:i "
        "raw_message_retention_days:i raw_message_retention_size:i allow_sender:b token:s "
        "send_limit_approaching_at:u send_limit_approaching_notified_at:u send_limit_exceeded_at:u "
        "send_limit_exceeded_notified_at:u spam_threshold:n spam_failure_threshold:n "
        "postmaster_address:s suspended_at:u outbound_spam_threshold:n "
        "domains_not_to_click_track:t suspension_reason:s log_smtp_data:b privacy_mode:b"
    ),
    "track_domains": (
        "uuid:s server_id:i domain_id:i name:s dns_checked_at:d dns_status:s dns_error:s "
        "created_at:d updated_at:d ssl_enabled:b track_clicks:b track_loads:b "
        "excluded_click_domains:t"
    ),
    "users": (
        "uuid:s first_name:s last_name:s email_address:s password_digest:s time_zone:s "
        "email_verification_token:s email_verified_at:d created_at:u updated_at:u "
        "password_reset_token:s password_reset_token_valid_until:d admin:b oidc_uid:s oidc_issuer:s"
    ),
    "webhook_events": "webhook_id:i event:s created_at:u",
    "webhooks": (
        "server_id:i uuid:s name:s url:s last_used_at:d all_events:b enabled:b sign:b created_at:u "
        "updated_at:u"
    ),
}
MESSAGES: Mapping[str, str] = {
    "raw-2026-11-28": "data:l next:i",
    "suppressions": "type:s address:s reason:s timestamp:e keep_until:e",
}
"""Of the database that each server has for itself; the raw mail is most of it."""
YEAR_2100 = "4102444800.000000"


@lru_cache(maxsize=8)
def private_key(nth: int = 0, *, bits: int = 1024) -> str:
    """Return the PEM of an RSA key as Postal writes it; another one for each number."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return pem.decode()


def some_uuid() -> str:
    """Return what Postal gives a new row."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class Installation:
    """Rows by table, and those of each server's own database by the server's id."""

    prefix: str = "postal"
    main: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    servers: dict[int, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)

    def add(self, table: str, **values: Any) -> int:
        """Add a row and return its id."""
        return _append(self.main.setdefault(table, []), values)

    def suppress(self, server_id: int, address: str, **values: Any) -> int:
        """Add an address that a server sends nothing to."""
        usual = {
            "type": "recipient",
            "reason": "too many hard fails",
            "timestamp": "1767605402.518000",
            "keep_until": YEAR_2100,
        }
        rows = self.servers.setdefault(server_id, {}).setdefault("suppressions", [])
        return _append(rows, usual | {"address": address} | values)

    def person(self, email: str, name: str = "Ada Admin", **values: Any) -> int:
        first, _, last = name.partition(" ")
        given = {"first_name": first, "last_name": last, "email_address": email}
        given |= {"password_digest": "$2a$12$abc", "time_zone": "UTC", "uuid": some_uuid()}
        return self.add("users", **given | values)

    def organization(self, permalink: str, owner_id: int, **values: Any) -> int:
        given = {"uuid": some_uuid(), "name": permalink.title(), "permalink": permalink}
        given |= {"time_zone": "UTC", "owner_id": owner_id}
        id = self.add("organizations", **given | values)
        self.add("organization_users", organization_id=id, user_id=owner_id, user_type="User")
        return id

    def server(self, organization_id: int, permalink: str = "mail", **values: Any) -> int:
        given = {"organization_id": organization_id, "uuid": some_uuid(), "mode": "Live"}
        given |= {"name": permalink.title(), "permalink": permalink, "token": uuid.uuid4().hex[:6]}
        id = self.add("servers", **given | values)
        self.servers.setdefault(id, {})
        return id

    def credential(self, server_id: int, key: str, type: str = "API", **values: Any) -> int:
        given = {"server_id": server_id, "key": key, "type": type, "name": f"The {type} key"}
        return self.add("credentials", **given | {"uuid": some_uuid()} | values)

    def domain(self, server_id: int, name: str, **values: Any) -> int:
        given = {"uuid": some_uuid(), "name": name, "verified_at": "2024-03-01 09:00:00"}
        given |= {"dkim_private_key": private_key(), "dkim_identifier_string": "AbC123"}
        given |= {"dkim_status": "OK", "owner_type": "Server", "owner_id": server_id}
        return self.add("domains", **given | values)

    def webhook(self, server_id: int, url: str, *events: str, **values: Any) -> int:
        given = {"server_id": server_id, "uuid": some_uuid(), "name": "Ours", "url": url}
        given |= {"all_events": 0 if events else 1, "enabled": 1, "sign": 1}
        id = self.add("webhooks", **given | values)
        for event in events:
            self.add("webhook_events", webhook_id=id, event=event)
        return id

    def databases(self) -> Iterator[tuple[str, Mapping[str, str], dict[str, list[dict[str, Any]]]]]:
        """Yield each database: its name, its tables, their rows."""
        yield self.prefix, MAIN, self.main
        for id, rows in sorted(self.servers.items()):
            yield f"{self.prefix}-server-{id}", MESSAGES, rows

    def statements(self) -> Iterator[str]:
        """Yield the SQL that makes all of it in a MariaDB."""
        for name, tables, rows in self.databases():
            yield f"CREATE DATABASE `{name}` DEFAULT CHARACTER SET utf8mb4"
            yield f"USE `{name}`"
            for table, columns in tables.items():
                yield create_table(table, columns)
                for row in rows.get(table, ()):
                    yield insert(table, columns, [row])

    def dump(self) -> str:
        """Return what `mysqldump --databases` writes of it."""
        lines = [HEAD]
        for name, tables, rows in self.databases():
            lines += ["--", f"-- Current Database: `{name}`", "--", "", f"USE `{name}`;"]
            for table, columns in tables.items():
                lines += [f"DROP TABLE IF EXISTS `{table}`;", create_table(table, columns) + ";"]
                lines += [f"LOCK TABLES `{table}` WRITE;"]
                if rows.get(table):
                    lines += [insert(table, columns, rows[table]) + ";"]
                lines += ["UNLOCK TABLES;"]
        return "\n".join([*lines, FOOT])


HEAD = """\
-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: postal
-- ------------------------------------------------------
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET TIME_ZONE='+00:00' */;
"""
FOOT = "-- Dump completed on 2026-11-28 12:00:00\n"


def create_table(table: str, columns: str) -> str:
    """Return the statement that makes a table."""
    lines = ["  `id` int(11) NOT NULL AUTO_INCREMENT"]
    lines += [f"  `{name}` {_TYPES[kind]}" for name, kind in _columns(columns)]
    body = ",\n".join([*lines, "  PRIMARY KEY (`id`)"])
    return f"CREATE TABLE `{table}` (\n{body}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"


def insert(table: str, columns: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the statement that puts rows into a table, as `mysqldump` writes it."""
    names = ["id", *(name for name, _ in _columns(columns))]
    tuples = [",".join(_literal(row.get(name)) for name in names) for row in rows]
    return f"INSERT INTO `{table}` VALUES ({'),('.join(tuples)})"


def _columns(text: str) -> list[tuple[str, str]]:
    return [(name, kind) for name, _, kind in (each.partition(":") for each in text.split())]


def _append(rows: list[dict[str, Any]], values: dict[str, Any]) -> int:
    id: int = values.setdefault("id", len(rows) + 1)
    rows.append(values)
    return id


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return str(int(value) if isinstance(value, bool) else value)
    text = str(value)
    for plain, escaped in _ESCAPES.items():
        text = text.replace(plain, escaped)
    return f"'{text}'"
