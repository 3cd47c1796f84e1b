"""Reports as mail systems write them: their shape, not anybody's mail. Names are invented."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """A report and what it says: action, recipients, code, status, and words of the text."""

    name: str
    mail: str
    action: str
    recipients: tuple[str, ...]
    code: int | None
    status: str | None
    words: str

    @property
    def data(self) -> bytes:
        """The mail as it comes over the wire."""
        return self.mail.strip("\n").replace("\n", "\r\n").encode()


def dsn(fields: str, *, before: str = "", after: str = "", subject: str = "Undelivered") -> str:
    """Return an RFC 3464 report with one group of *fields*."""
    return f"""
From: MAILER-DAEMON@mx.example
To: b+x@bounce.acme.example
Subject: {subject}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain; charset=us-ascii

Something happened to your mail.
{before}
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
Arrival-Date: Mon, 1 Jun 2026 12:00:00 +0000

{fields.strip()}

--B
Content-Type: text/rfc822-headers

Return-Path: <b+x@bounce.acme.example>
Subject: Your order
{after}
--B--
"""


def text(body: str, *, header: str = "", subject: str = "failure notice") -> str:
    """Return a report in plain text."""
    head = f"From: MAILER-DAEMON@mx.example\nSubject: {subject}"
    return "\n".join(part for part in (head, header.strip("\n")) if part) + "\n\n" + body


STANDARD = (
    Shape(
        "postfix",
        dsn(
            """
Final-Recipient: rfc822; ada@x.example
Original-Recipient: rfc822;Ada@x.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.x.example
Diagnostic-Code: smtp; 550 5.1.1 <ada@x.example>: Recipient address rejected:
    User unknown in local recipient table
"""
        ),
        "failed",
        ("Ada@x.example", "ada@x.example"),
        550,
        "5.1.1",
        "Recipient address rejected: User unknown",
    ),
    Shape(
        "gmail",
        dsn(
            """
Final-Recipient: rfc822; ada@gmail.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; gmail-smtp-in.l.google.example. (192.0.2.1, the server for the domain.)
Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please
 550-5.1.1 try double-checking the address for typos.
 550 5.1.1 Learn more - gsmtp
Last-Attempt-Date: Mon, 01 Jun 2026 12:00:00 -0700 (PDT)
"""
        ),
        "failed",
        ("ada@gmail.example",),
        550,
        "5.1.1",
        "does not exist. Please try double-checking",
    ),
    Shape(
        "gmail delayed",
        dsn(
            """
Final-Recipient: rfc822; ada@slow.example
Action: delayed
Status: 4.4.1
Diagnostic-Code: smtp; The recipient server did not accept our requests to connect.
Will-Retry-Until: Thu, 04 Jun 2026 12:00:00 -0700 (PDT)
"""
        ),
        "delayed",
        ("ada@slow.example",),
        None,
        "4.4.1",
        "did not accept our requests",
    ),
    Shape(
        "exchange online",
        dsn(
            """
Final-Recipient: rfc822;ada@corp.example
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by lookup
X-Display-Name: Ada
"""
        ),
        "failed",
        ("ada@corp.example",),
        550,
        "5.1.10",
        "RESOLVER.ADR.RecipientNotFound",
    ),
    Shape(
        "exchange quota",
        dsn(
            """
Final-Recipient: rfc822;ada@corp.example
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp;554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException
"""
        ),
        "failed",
        ("ada@corp.example",),
        554,
        "5.2.2",
        "mailbox full",
    ),
    Shape(
        "expired after delays",
        dsn(
            """
Final-Recipient: rfc822; ada@slow.example
Action: failed
Status: 4.4.1
Diagnostic-Code: X-Postfix; connect to mx.slow.example[192.0.2.9]:25: Connection timed out
"""
        ),
        "failed",
        ("ada@slow.example",),
        None,
        "4.4.1",
        "Connection timed out",
    ),
    Shape(
        "a status that says nothing",
        dsn(
            """
Final-Recipient: RFC822; ada@x.example
Action: Failed (rejected)
Status: 5.0.0 (permanent failure)
Diagnostic-Code: SMTP; 550 5.2.1 This account is disabled
"""
        ),
        "failed",
        ("ada@x.example",),
        550,
        "5.2.1",
        "account is disabled",
    ),
    Shape(
        "our address is listed",
        dsn(
            """
Final-Recipient: rfc822; ada@x.example
Action: failed
Status: 5.7.1
Diagnostic-Code: smtp; 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using
 zen.spamhaus.example
"""
        ),
        "failed",
        ("ada@x.example",),
        554,
        "5.7.1",
        "blocked using",
    ),
    Shape(
        "sendmail without a diagnosis",
        dsn(
            """
Final-Recipient: RFC822; ada@x.example
Action: failed
Status: 5.1.2
Remote-MTA: DNS; x.example
"""
        ),
        "failed",
        ("ada@x.example",),
        None,
        "5.1.2",
        "",
    ),
    Shape(
        "no action",
        dsn("Final-Recipient: rfc822; ada@x.example\nStatus: 5.1.1"),
        "failed",
        ("ada@x.example",),
        None,
        "5.1.1",
        "",
    ),
    Shape(
        "relayed",
        dsn("Final-Recipient: rfc822; ada@x.example\nAction: relayed\nStatus: 2.0.0"),
        "relayed",
        ("ada@x.example",),
        None,
        "2.0.0",
        "",
    ),
)

PLAIN = (
    Shape(
        "qmail",
        text(
            """Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@x.example>:
192.0.2.3 does not like recipient.
Remote host said: 550 5.1.1 <ada@x.example>: no such user
Giving up on 192.0.2.3.

--- Below this line is a copy of the message.
"""
        ),
        "failed",
        ("ada@x.example",),
        550,
        "5.1.1",
        "no such user",
    ),
    Shape(
        "yahoo",
        text(
            """Sorry, we were unable to deliver your message to the following address.

<ada@yahoo.example>:
Remote host said: 554 delivery error: dd This user doesn't have a yahoo.example account
(ada@yahoo.example) [0] - mta1.mail.yahoo.example [RCPT_TO]

--- Below this line is a copy of the message.
"""
        ),
        "failed",
        ("ada@yahoo.example",),
        554,
        None,
        "doesn't have a yahoo.example account",
    ),
    Shape(
        "gmail, old",
        text(
            """Delivery to the following recipient failed permanently:

     ada@x.example

Technical details of permanent failure:
Google tried to deliver your message, but it was rejected by the server for the recipient
domain x.example by mx.x.example. [192.0.2.5].

The error that the other server returned was:
550 5.1.1 User unknown

----- Original message -----
""",
            header="X-Failed-Recipients: ada@x.example",
            subject="Delivery Status Notification (Failure)",
        ),
        "failed",
        ("ada@x.example",),
        None,
        None,
        "rejected by the server",
    ),
    Shape(
        "exim",
        text(
            """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  ada@x.example
    SMTP error from remote mail server after RCPT TO:<ada@x.example>:
    host mx.x.example [192.0.2.6]: 550 5.1.1 unknown user

------ This is a copy of the message, including all the headers. ------
""",
            header="X-Failed-Recipients: ada@x.example\nAuto-Submitted: auto-replied",
            subject="Mail delivery failed: returning message to sender",
        ),
        "failed",
        ("ada@x.example",),
        550,
        "5.1.1",
        "unknown user",
    ),
    Shape(
        "exim delay",
        text(
            """This message was created automatically by mail delivery software.
A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on mx.example.

The address to which the message has not yet been delivered is:

  ada@slow.example

No action is required on your part. Delivery attempts will continue for some time.
""",
            subject="Warning: message 1abCDE-000000-00 delayed 24 hours",
        ),
        "delayed",
        (),
        None,
        None,
        "",
    ),
    Shape(
        "sendmail",
        text(
            """The original message was received at Mon, 1 Jun 2026 12:00:00 GMT
from mx.example [192.0.2.7]

   ----- The following addresses had permanent fatal errors -----
<ada@x.example>
    (reason: 550 5.1.1 <ada@x.example>... User unknown)

   ----- Transcript of session follows -----
... while talking to mx.x.example.:
>>> DATA
<<< 550 5.1.1 <ada@x.example>... User unknown
""",
            subject="Returned mail: see transcript for details",
        ),
        "failed",
        ("ada@x.example",),
        550,
        "5.1.1",
        "User unknown",
    ),
    Shape(
        "sendmail warning",
        text(
            """    **********************************************
    **      THIS IS A WARNING MESSAGE ONLY      **
    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **
    **********************************************

   ----- The following addresses had transient non-fatal errors -----
<ada@slow.example>
""",
            subject="Warning: could not send message for past 4 hours",
        ),
        "delayed",
        (),
        None,
        None,
        "",
    ),
    Shape(
        "postfix, its report cut away",
        text(
            """This is the mail system at host mx.example.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

<ada@x.example>: host mx.x.example[192.0.2.8] said: 552 5.2.2
    Mailbox is over quota (in reply to RCPT TO command)
"""
        ),
        "failed",
        ("ada@x.example",),
        552,
        "5.2.2",
        "Mailbox is over quota",
    ),
    Shape(
        "exchange, old",
        text(
            """Your message did not reach some or all of the intended recipients.

      Subject:  Your order
      Sent:     01.06.2026 12:00

The following recipient(s) cannot be reached:

      ada@corp.example on 01.06.2026 12:00
            The e-mail account does not exist at the organization this message was sent to.
            <mail.corp.example #5.1.1 smtp;550 5.1.1 User unknown>
""",
            subject="Undeliverable: Your order",
        ),
        "failed",
        ("ada@corp.example",),
        550,
        "5.1.1",
        "User unknown",
    ),
    Shape(
        "domino",
        text(
            """Your message

  Subject: Your order

was not delivered to:

  ada@corp.example

because:

  550 5.1.1 User ada (ada@corp.example) not listed in Domino Directory

""",
            subject="DELIVERY FAILURE: User ada not listed",
        ),
        "failed",
        ("ada@corp.example",),
        550,
        "5.1.1",
        "not listed in Domino Directory",
    ),
    Shape(
        "aol",
        text(
            """Your mail to the following recipients could not be delivered because they are not
accepting mail from the sender: ada@aol.example

Reason: 550 5.2.1 : MAILBOX NOT FOUND
"""
        ),
        "failed",
        ("ada@aol.example",),
        550,
        "5.2.1",
        "MAILBOX NOT FOUND",
    ),
    Shape(
        "mail.ru",
        text(
            """Это письмо создано автоматически сервером Mail.Ru, отвечать на него не нужно.

К сожалению, Ваше письмо не может быть доставлено одному или нескольким получателям:

**********************
ada@mail.example
user not found
**********************
""",
            header="Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit",
            subject="Mail failure",
        ),
        "failed",
        ("ada@mail.example",),
        None,
        "5.1.1",
        "user not found",
    ),
    Shape(
        "qq",
        text(
            """系统退信

无法投递到 ada@qq.example
返回: 550 Mailbox not found
""",
            header="Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit",
        ),
        "failed",
        ("ada@qq.example",),
        550,
        None,
        "Mailbox not found",
    ),
    Shape(
        "german",
        text(
            """Ihre Nachricht konnte nicht zugestellt werden.

Empfänger: ada@t-online.example
Antwort: 550 5.1.1 Unbekannter Empfänger
""",
            header="Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit",
        ),
        "failed",
        ("ada@t-online.example",),
        550,
        "5.1.1",
        "Unbekannter",
    ),
    Shape(
        "french",
        text(
            """Votre message n'a pas pu être remis à ada@orange.example :

550 5.2.1 Boite du destinataire archivée
""",
            header="Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit",
        ),
        "failed",
        ("ada@orange.example",),
        550,
        "5.2.1",
        "Boite du destinataire",
    ),
    Shape(
        "usual words",
        text(
            """Undeliverable message

Could not send to <ada@x.example>, the server said: 550 No such user
""",
            subject="Undeliverable",
        ),
        "failed",
        ("ada@x.example",),
        550,
        None,
        "No such user",
    ),
)


ABUSE = """
From: <feedback@isp.example>
To: <fbl@mail.postlane.test>
Subject: FW: Your order
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="F"

--F
Content-Type: text/plain

This is an email abuse report.

--F
Content-Type: message/feedback-report

Feedback-Type: {type}
User-Agent: Reporter/1.0
Version: 1
Original-Mail-From: <{mail_from}>
Original-Rcpt-To: <{recipient}>
Source-IP: 192.0.2.1

--F
Content-Type: message/rfc822

Return-Path: <{return_path}>
Message-ID: <{message_id}>
From: noreply@acme.example
Subject: Your order

Thank you.
--F--
"""
