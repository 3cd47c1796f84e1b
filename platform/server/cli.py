"""The command line: the table of commands, and how a fault becomes a sentence."""

import argparse
import asyncio
import importlib
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import OperationError
from ..core.garbage import collect_seldom
from ..core.processor import choose_arithmetic
from ..core.settings import SettingsError
from .faults import CommandFailed

DESCRIPTION = """\
Postlane sends email: a GraphQL-first, multi-tenant platform.

Settings come from POSTLANE_ variables, or from the file that POSTLANE_ENV_FILE names;
`postlane print-settings` lists them."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command, as argparse takes it."""

    flags: tuple[str, ...]
    keywords: dict[str, Any] = field(default_factory=dict)


def argument(*flags: str, **keywords: Any) -> Argument:
    """Return one argument."""
    return Argument(flags, keywords)


@dataclass(frozen=True, slots=True)
class Command:
    """One command; *run* is `module:function` in this package, imported when it is needed."""

    name: str
    """One word, or two where the first stands before several."""
    summary: str
    run: str
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...] = ()
    detail: str = ""


PASSPHRASE = argument(
    "--passphrase-file",
    type=Path,
    metavar="FILE",
    help="file that holds the passphrase of the backup's secret key, 16 characters or more",
)
COMMANDS = (
    Command(
        "up",
        "Run everything on this machine, supervised, until Ctrl-C.",
        "up:run",
        ("postlane up", "POSTLANE_LISTEN=127.0.0.1:8080 postlane up --demo"),
        (
            argument(
                "--demo",
                action="store_true",
                help="make an organization with a verified domain once, and send one message",
            ),
        ),
        "Starts the embedded PostgreSQL unless POSTLANE_DATABASE_URL is set, makes a secret key "
        "in the data directory unless POSTLANE_SECRET_KEY is set, migrates, and keeps web, "
        "worker and SMTP running.",
    ),
    Command(
        "web",
        "Serve the APIs over HTTP.",
        "web:run",
        ("POSTLANE_DATABASE_URL=postgresql://postlane@db/postlane postlane web",),
    ),
    Command(
        "worker",
        "Run jobs: deliveries, checks, tidying.",
        "worker:run",
        ("postlane worker --concurrency 40",),
        (
            argument(
                "--concurrency",
                type=int,
                metavar="N",
                help="jobs at a time; the default is POSTLANE_WORKER_CONCURRENCY",
            ),
        ),
    ),
    Command(
        "smtp",
        "Take mail over SMTP: for sending, signed in to with an API key as the password; and "
        "bounces, complaints and unsubscribes from other mail servers.",
        "smtp:run",
        ("POSTLANE_SMTP_LISTEN=127.0.0.1:2587 postlane smtp",),
        (),
        "With POSTLANE_TLS_CERTIFICATE and POSTLANE_TLS_KEY it asks for STARTTLS; without, only "
        "programs on this machine may sign in.",
    ),
    Command(
        "migrate",
        "Bring the database up to date; safe to run twice and at the same time.",
        "migrate:run",
        ("postlane migrate",),
    ),
    Command(
        "doctor",
        "Check what Postlane stands on, and say what to do about each fault.",
        "doctor:run",
        ("postlane doctor", "postlane doctor --json"),
        (argument("--json", action="store_true", help="one JSON object instead of lines"),),
        "Exits with 1 if there is a fault; warnings do not count.",
    ),
    Command(
        "backup",
        "Write everything that must survive to one file, with its secrets encrypted.",
        "backup:back_up",
        (
            "postlane backup --passphrase-file /etc/postlane/passphrase /srv/monday.tar",
            "postlane backup /srv/tuesday.tar",
        ),
        (
            argument("file", type=Path, metavar="FILE", help="a file that does not exist yet"),
            PASSPHRASE,
        ),
        "With a passphrase the secret key is in it, encrypted; without, it is not, and has to be "
        "kept elsewhere: DKIM keys and other sealed values need it.",
    ),
    Command(
        "restore",
        "Put a backup back.",
        "backup:restore",
        ("postlane restore /srv/backups/postlane-monday.tar",),
        (
            argument("file", type=Path, metavar="FILE", help="a file made by `postlane backup`"),
            argument("--force", action="store_true", help="replace a database that is not empty"),
            PASSPHRASE,
        ),
        "Refuses a database that is in use, and one that is not empty unless --force is given.",
    ),
    Command(
        "rotate-keys",
        "Encrypt everything that is encrypted at rest anew, with the secret key in use.",
        "rotate_keys:run",
        (
            "postlane rotate-keys --new",
            "postlane rotate-keys",
            "postlane rotate-keys --compromised",
        ),
        (
            argument(
                "--new",
                action="store_true",
                help="only put a new secret key into the data directory, before the present one; "
                "for installations that do not set POSTLANE_SECRET_KEY",
            ),
            argument(
                "--compromised",
                action="store_true",
                help="the old keys are in somebody's hands: end every session at once, and let "
                "no key that signed one so far verify any more",
            ),
        ),
        "What old secret keys were used for is read as long as they are in "
        "POSTLANE_OLD_SECRET_KEYS, or in the data directory. It runs while everything runs, may "
        "be stopped and begun again, and signs sessions with a new key from then on.",
    ),
    Command(
        "create-organization",
        "Make an organization with an owner and an API key, and print the key once.",
        "create_organization:run",
        ("postlane create-organization 'Acme Ltd' --email owner@acme.example",),
        (
            argument("name", metavar="NAME", help="as people read it"),
            argument("--email", required=True, metavar="ADDRESS", help="the owner's address"),
            argument("--owner", metavar="NAME", help="the owner's name; the default is the email"),
        ),
    ),
    Command(
        "grant-platform-admin",
        "Let a registered person look after the whole deployment.",
        "platform_admins:grant",
        ("postlane grant-platform-admin ada@acme.example",),
        (argument("email", metavar="ADDRESS", help="the address they registered with"),),
        "Whoever looks after it can do the same with the mutation grantPlatformAdmin.",
    ),
    Command(
        "revoke-platform-admin",
        "Let a person look after the deployment no longer; the last one stays.",
        "platform_admins:revoke",
        ("postlane revoke-platform-admin ada@acme.example",),
        (argument("email", metavar="ADDRESS", help="the address they registered with"),),
    ),
    Command(
        "send-test",
        "Send one message through the API and follow it until it is settled.",
        "send_test:run",
        ("postlane send-test --from hi@acme.example --to you@there.example --key-file key.txt",),
        (
            argument(
                "--from",
                dest="sender",
                required=True,
                metavar="ADDRESS",
                help="the sender, at a verified domain of the organization",
            ),
            argument(
                "--to", dest="recipient", required=True, metavar="ADDRESS", help="the recipient"
            ),
            argument("--key-file", type=Path, metavar="FILE", help="file that holds the API key"),
            argument("--url", metavar="URL", help="of the API; the default is POSTLANE_PUBLIC_URL"),
            argument(
                "--wait", type=float, default=30.0, metavar="SECONDS", help="how long to follow it"
            ),
        ),
        "The API key is read from --key-file, or from standard input.",
    ),
    Command(
        "requeue",
        "Make waiting deliveries due now.",
        "requeue:run",
        ("postlane requeue --domain example.com", "postlane requeue --all"),
        (
            argument("--domain", metavar="DOMAIN", help="only those to this destination"),
            argument("--all", action="store_true", help="those to every destination"),
        ),
        "A host that did not answer is asked again half a minute later at the earliest.",
    ),
    Command(
        "import postal",
        "Take over Postal's organizations, people, keys, domains, webhooks and suppressions.",
        "importing:run",
        (
            "postlane import postal --dry-run postal.sql.gz",
            "postlane import postal --signing-key /opt/postal/config/signing.key postal.sql.gz",
            "postlane import postal --url mysql://postal@db/postal --password-file password.txt",
        ),
        (
            argument(
                "files", nargs="*", type=Path, metavar="FILE", help="what mysqldump wrote, or gzip"
            ),
            argument("--url", metavar="URL", help="of its MariaDB, instead of files"),
            argument("--password-file", type=Path, metavar="FILE", help="of the user of --url"),
            argument("--database", metavar="NAME", help="Postal's main one in files: postal"),
            argument(
                "--message-database",
                metavar="PREFIX",
                help="what stands before -server-1 in the others; the default is the main one's",
            ),
            argument(
                "--signing-key",
                type=Path,
                metavar="FILE",
                help="Postal's signing.key, by which receivers check webhooks",
            ),
            argument(
                "--replace-signing-key",
                action="store_true",
                help="even if webhooks in Postal's format are signed with another key already",
            ),
            argument(
                "--dkim-identifier",
                default="postal",
                metavar="WORD",
                help="Postal's dns.dkim_identifier; the default is postal",
            ),
            argument(
                "--return-path-prefix",
                default="psrp",
                metavar="WORD",
                help="Postal's dns.custom_return_path_prefix; the default is psrp",
            ),
            argument(
                "--owner",
                metavar="ADDRESS",
                help="who has an account, and owns organizations of which nobody else can",
            ),
            argument(
                "--join-people",
                action="store_true",
                help="take whoever has an account with the same address for the same person",
            ),
            argument("--dry-run", action="store_true", help="change nothing, and say what would"),
            argument("--json", action="store_true", help="one JSON object instead of lines"),
        ),
        "What was taken over before is left alone, so it can be run again and goes on where it "
        "was cut short. Exits with 1 if something could not be taken over.",
    ),
    Command(
        "print-postal-key",
        "Print the public key that checks webhooks in Postal's format.",
        "postal_key:run",
        ("postlane print-postal-key",),
        (),
        "Receivers made for Postal ask for the value `p`, or read /.well-known/jwks.json. The key "
        "is made when it is first asked for, or first signs.",
    ),
    Command(
        "print-schema",
        "Print the GraphQL schema.",
        "printing:schema",
        ("postlane print-schema > schema.graphql",),
    ),
    Command(
        "print-openapi",
        "Print the OpenAPI document of the REST APIs.",
        "printing:openapi",
        ("postlane print-openapi > openapi.json",),
    ),
    Command(
        "print-settings",
        "Print every setting with its default and its meaning.",
        "printing:settings_table",
        ("postlane print-settings",),
    ),
)


GROUPS = {"import": "Take over what another platform has."}
"""What the first words of two stand for."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    collect_seldom()
    # Now, for the commands import `cryptography`. Programs that are started have it from here.
    choose_arithmetic()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; faults become a sentence on standard error."""
    given = build_parser().parse_args(arguments)
    try:
        module, _, function = given.command.run.partition(":")
        answer = getattr(importlib.import_module(f".{module}", __package__), function)(given)
        code: int = asyncio.run(answer) if inspect.iscoroutine(answer) else answer
        return code
    except (CommandFailed, SettingsError) as error:
        return failed(str(error))
    except OperationError as error:
        lines = [error.sentence, *(f"{d.field}: {d.message}" for d in error.details)]
        return failed("\n  ".join(lines))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; closing it again must not complain.
        sys.stderr.close()
        return 0


def failed(sentence: str) -> int:
    """Say what is wrong and return the exit code for it."""
    print(f"postlane: {sentence}", file=sys.stderr)
    return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = argparse.ArgumentParser(
        "postlane",
        description=DESCRIPTION,
        epilog="`postlane COMMAND --help` shows an example of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    chosen = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups = {"": chosen}
    for command in COMMANDS:
        examples = "\n".join(f"  {line}" for line in command.examples)
        group, _, name = command.name.rpartition(" ")
        if group not in groups:
            parent = chosen.add_parser(group, help=GROUPS[group], description=GROUPS[group])
            groups[group] = parent.add_subparsers(metavar="WHAT", required=True)
        own = groups[group].add_parser(
            name,
            help=command.summary,
            description=f"{command.summary} {command.detail}".strip(),
            epilog=f"example:\n{examples}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        for each in command.arguments:
            own.add_argument(*each.flags, **each.keywords)
        own.set_defaults(command=command)
    return parser


class _Formatter(argparse.HelpFormatter):
    """Fills the description and keeps the lines of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example:"):
            return text
        return super()._fill_text(text, width, indent)


if __name__ == "__main__":
    main()
