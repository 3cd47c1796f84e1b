"""What recipients of a campaign, machines and other servers do with the mail that they have."""

import asyncio
import re
import smtplib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.mail.report_shapes import ABUSE, dsn

from .campaign import Act, Person, floor
from .mailing import Mailing
from .stack import HOSTNAME

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
PROXY = "GoogleImageProxy"
SCANNER = "Barracuda Sentinel (EE)"
PIXEL = -1
"""The place of the pixel among what leads to us; links are numbered."""
MINUTE = timedelta(minutes=1)


class Reacting(Mailing):
    """A mailing whose recipients open, click, complain, leave, and send back."""

    async def act(self, *, scale: int) -> None:
        """Let people and machines do what they do, *scale* times as many as the least."""
        paths = self.paths()
        readers = self.take(10 * scale)
        await self.hit(readers, paths, [PIXEL])
        # Within a minute, which is one open.
        await self.hit(readers[: 2 * scale], paths, [PIXEL], counted=False)
        await self.hit(readers[: 6 * scale], paths, [0])
        await self.hit(readers[: 3 * scale], paths, [0, 1])
        blind = self.take(2 * scale)
        await self.hit(blind, paths, [2])
        for person in blind:
            # Who follows a link has the mail open, also where pictures are not loaded.
            person.acts.append(Act("opens", person.acts[-1].at))
        await self.hit(self.take(5 * scale), paths, [PIXEL], agent=PROXY)
        await self.hit(self.take(2 * scale), paths, [0, 1], agent=SCANNER)
        for person in self.take(scale):
            # Three links at once: nobody reads like that.
            await asyncio.gather(
                *(self.hit([person], paths, [place], is_machine=True) for place in range(3))
            )
        await self.forge(paths[readers[0].address][0])

    def paths(self) -> dict[str, list[str]]:
        """Return everybody's links and, last, their pixel."""
        found = {}
        for received in self.world.sink.messages:
            said = received.data.replace(b"=\r\n", b"").replace(b"=3D", b"=").decode()
            found[received.recipient] = re.findall(r'"http://[^/"]+(/track/[^"]+)"', said)
        return found

    async def hit(
        self,
        people: Sequence[Person],
        paths: dict[str, list[str]],
        places: Sequence[int],
        *,
        agent: str = PERSON,
        is_machine: bool | None = None,
        counted: bool = True,
    ) -> None:
        """Let *people* ask for their pixel or links, and note it."""
        for person in people:
            for place in places:
                at = await clear_of_a_minute()
                path = paths[person.address][place]
                answer = await self.reader.get(path, headers={"user-agent": agent})
                assert answer.status_code == (200 if place == PIXEL else 302), answer.text
                if counted:
                    kind = "opens" if place == PIXEL else "clicks"
                    machine = agent != PERSON if is_machine is None else is_machine
                    person.acts.append(Act(kind, at, machine))

    async def forge(self, path: str) -> None:
        """Ask for what is none of ours; it must not count."""
        changed = path[:60] + ("A" if path[60] != "A" else "B") + path[61:]
        for wrong in (path[:-3], changed, "/track/click/x"):
            answer = await self.reader.get(wrong, headers={"user-agent": PERSON})
            assert answer.status_code == 404, wrong

    async def complain(self, count: int) -> None:
        """Let recipients say that it is spam."""
        for person in self.take(count):
            mail = ABUSE.format(
                type="abuse",
                mail_from="redacted@isp.example",
                recipient="redacted",
                return_path=self.return_path(person),
                message_id="x@y.example",
            )
            person.complained_at = await clear_of_a_minute()
            await self.hand_over(f"fbl@{HOSTNAME}", mail)

    async def send_back(self, count: int) -> None:
        """Let servers bounce what they had taken."""
        for person in self.take(count):
            fields = (
                f"Final-Recipient: rfc822; {person.address}\nAction: failed\nStatus: 5.1.1\n"
                "Diagnostic-Code: smtp; 550 5.1.1 User unknown"
            )
            await self.hand_over(self.return_path(person), dsn(fields))
            person.is_delivered, person.bounce_class = False, "invalid_recipient"

    async def leave(self, count: int) -> None:
        """Let programs unsubscribe, after others have fetched the links without asking."""
        leaving = self.take(count, stream="marketing")
        heads = {m.recipient: m.data.partition(b"\r\n\r\n")[0] for m in self.world.sink.messages}
        for nth, person in enumerate(leaving):
            folded = heads[person.address].decode().replace("\r\n ", "")
            [path] = re.findall(r"<http://[^/>]+(/track/unsubscribe/[^>]+)>", folded)
            shown = await self.reader.get(path)
            assert shown.status_code == 200
            if nth < count - 2:
                left = await self.reader.post(path, data={"List-Unsubscribe": "One-Click"})
                assert left.status_code == 200
                person.has_left = True

    def return_path(self, person: Person) -> str:
        """Return where bounces of somebody's mail go."""
        [first, *_] = [m for m in self.world.sink.messages if m.recipient == person.address]
        return first.envelope_from

    async def hand_over(self, to: str, mail: str) -> None:
        """Hand a report over, as another mail server does."""
        data = mail.strip().replace("\n", "\r\n").encode()

        def give() -> None:
            with smtplib.SMTP("127.0.0.1", self.world.inbound_port, timeout=20) as client:
                client.sendmail("", [to], data)

        await asyncio.to_thread(give)


async def clear_of_a_minute() -> datetime:
    """Return the time, which is not so near to a full minute that clocks could differ on it."""
    now = datetime.now(UTC)
    ends_in = (floor(now, MINUTE) + MINUTE - now).total_seconds()
    if ends_in < 0.5:
        await asyncio.sleep(ends_in + 0.1)
    return datetime.now(UTC)
