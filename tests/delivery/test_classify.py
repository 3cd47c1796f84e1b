"""What receivers say and mean: each reply with where it was seen."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from postlane.core import clock
from postlane.delivery.classify import Action, Judgement, judge, rules
from postlane.mail.outcome import BounceClass, Verdict, outcome_of_reply

GMAIL = "gmail-smtp-in.l.google.com"
OUTLOOK = "outlook-com.olc.protection.outlook.com"
EXCHANGE = "acme-com.mail.protection.outlook.com"
YAHOO = "mta5.am0.yahoodns.net"
ICLOUD = "mx01.mail.icloud.com"
COMCAST = "mx1.comcast.net"
GMX = "mx00.gmx.net"
T_ONLINE = "mx00.t-online.de"
ORANGE = "smtp-in.orange.fr"
MAIL_RU = "mxs.mail.ru"
YANDEX = "mx.yandex.ru"
QQ = "mx1.qq.com"
NETEASE = "163mx01.mxmail.netease.com"
MIMECAST = "eu-smtp-inbound-1.mimecast.com"
PROOFPOINT = "mx0a-00000000.pphosted.com"
BARRACUDA = "d12345a.ess.barracudanetworks.com"
ANYBODY = "mx.example.net"

# Where it was seen, host, code, text, class, action.
SEEN = [
    ("support.google.com/a/answer/3726730", GMAIL, 450,
     "4.2.1 The user you are trying to contact is receiving mail too quickly.",
     "rate_limited", "retry"),
    ("support.google.com/a/answer/3726730", GMAIL, 450,
     "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents "
     "additional messages from being delivered.", "rate_limited", "retry"),
    ("support.google.com/a/answer/3726730", GMAIL, 421,
     "4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your "
     "IP address.", "rate_limited", "back_off"),
    ("support.google.com/a/answer/3726730", GMAIL, 421,
     "4.7.0 Try again later, closing connection. (EHLO)", "rate_limited", "back_off"),
    ("support.google.com/a/answer/3726730", GMAIL, 550,
     "5.1.1 The email account that you tried to reach does not exist.", "invalid_recipient",
     "bounce"),
    ("support.google.com/a/answer/3726730", GMAIL, 550,
     "5.2.1 The email account that you tried to reach is disabled.", "inactive_mailbox",
     "bounce"),
    ("support.google.com/a/answer/3726730", GMAIL, 552,
     "5.2.2 The email account that you tried to reach is over quota.", "mailbox_full", "bounce"),
    ("support.google.com/a/answer/3726730", GMAIL, 452,
     "4.2.2 The recipient's inbox is out of storage space.", "mailbox_full", "retry"),
    ("support.google.com/mail/answer/81126", GMAIL, 421,
     "4.7.26 This mail has been rate limited because it is unauthenticated.", "auth_failure",
     "retry"),
    ("support.google.com/mail/answer/81126", GMAIL, 550,
     "5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC "
     "policy.", "auth_failure", "bounce"),
    ("support.google.com/mail/answer/81126", GMAIL, 550,
     "5.7.1 Our system has detected that this message is likely suspicious due to the very low "
     "reputation of the sending IP address.", "reputation_block", "back_off"),
    ("support.google.com/mail/answer/81126", GMAIL, 550,
     "5.7.1 Our system has detected that this message is likely unsolicited mail.",
     "content_rejected", "bounce"),
    ("support.google.com/a/answer/3726730", GMAIL, 550,
     "5.7.25 The IP address sending this message does not have a PTR record setup",
     "auth_failure", "bounce"),
    ("sendersupport.olc.protection.outlook.com", OUTLOOK, 550,
     "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet "
     "service provider since part of their network is on our block list (S3150).",
     "reputation_block", "suspend"),
    ("wordtothewise.com/2017/10/troubleshooting-and-codes", OUTLOOK, 550,
     "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. part of their network is on "
     "our block list (AS3150).", "reputation_block", "suspend"),
    ("knowledge.broadcom.com/external/article/158195", OUTLOOK, 550,
     "SC-001 (COL0-MC4-F44) Unfortunately, messages from 192.0.2.1 weren't sent.",
     "reputation_block", "suspend"),
    ("sendersupport.olc.protection.outlook.com", OUTLOOK, 421,
     "RP-001 (BAY004-MC1F1) Unfortunately, some messages from 192.0.2.1 weren't sent.",
     "rate_limited", "back_off"),
    ("wordtothewise.com, 2019", OUTLOOK, 451,
     "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
     "reputation. (S775)", "rate_limited", "back_off"),
    ("wordtothewise.com/2017/10/troubleshooting-and-codes", EXCHANGE, 451,
     "4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS843)", "rate_limited",
     "back_off"),
    ("learn.microsoft.com, NDR 5.7.606", EXCHANGE, 550,
     "5.7.606 Access denied, banned sending IP [192.0.2.1]", "reputation_block", "suspend"),
    ("learn.microsoft.com, NDR 5.7.511", EXCHANGE, 550,
     "5.7.511 Access denied, banned sender[192.0.2.1]", "reputation_block", "bounce"),
    ("learn.microsoft.com, NDR 5.7.515", OUTLOOK, 550,
     "5.7.515 Access denied, sending domain example.com doesn't meet the required authentication "
     "level.", "auth_failure", "bounce"),
    ("learn.microsoft.com, NDR 5.4.1", EXCHANGE, 550,
     "5.4.1 Recipient address rejected: Access denied. AS(201806281)", "invalid_recipient",
     "bounce"),
    ("learn.microsoft.com, NDR 5.1.10", EXCHANGE, 550,
     "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
     "invalid_recipient", "bounce"),
    ("learn.microsoft.com, NDR 5.7.133", EXCHANGE, 550,
     "5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
     "policy_rejected", "bounce"),
    ("learn.microsoft.com, NDR 5.2.121", EXCHANGE, 550,
     "5.2.121 The recipient's per hour message receive limit from specific sender exceeded",
     "rate_limited", "retry"),
    ("learn.microsoft.com, NDR 5.7.509", EXCHANGE, 550,
     "5.7.509 Access denied, sending domain example.com does not pass DMARC verification and has "
     "a DMARC policy of reject.", "auth_failure", "bounce"),
    ("learn.microsoft.com, NDR 5.2.2", EXCHANGE, 552,
     "5.2.2 Mailbox full; STOREDRV.Deliver", "mailbox_full", "bounce"),
    ("senders.yahooinc.com/smtp-error-codes", YAHOO, 421,
     "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or "
     "user complaints - 4.16.55.1", "rate_limited", "back_off"),
    ("senders.yahooinc.com/smtp-error-codes", YAHOO, 421,
     "4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred", "rate_limited",
     "back_off"),
    ("help.yahoo.com/kb/SLN26151", YAHOO, 421,
     "4.7.1 Messages from 192.0.2.1 permanently deferred", "reputation_block", "suspend"),
    ("senders.yahooinc.com/smtp-error-codes", YAHOO, 553,
     "5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in "
     "Spamhaus's list", "reputation_block", "suspend"),
    ("smtp.codes/yahoo", YAHOO, 421,
     "Max message per connection reached, closing transmission channel", "temporary_failure",
     "retry"),
    ("smtp.codes/yahoo", YAHOO, 451,
     "Resources temporarily unavailable. Please try again later [#4.16.1].", "rate_limited",
     "back_off"),
    ("senders.yahooinc.com/smtp-error-codes", YAHOO, 554,
     "5.7.9 Message not accepted for policy reasons.", "content_rejected", "bounce"),
    ("senders.yahooinc.com/smtp-error-codes", YAHOO, 554,
     "delivery error: dd This user doesn't have a yahoo.com account (a@yahoo.com) [0]",
     "invalid_recipient", "bounce"),
    ("senders.yahooinc.com/smtp-error-codes", YAHOO, 554,
     "delivery error: dd Sorry, your message cannot be delivered. This account has been disabled "
     "or discontinued [#102].", "inactive_mailbox", "bounce"),
    ("smtp.codes/icloud", ICLOUD, 421,
     "4.7.1 Messages to a@icloud.com deferred due to excessive volume. Try again later",
     "rate_limited", "back_off"),
    ("smtp.codes/icloud", ICLOUD, 451, "4.7.1 Service unavailable - try again later",
     "rate_limited", "back_off"),
    ("smtp.codes/icloud", ICLOUD, 550,
     "5.7.1 [CS01] Message rejected due to local policy.", "content_rejected", "bounce"),
    ("mactechnews.de/news/article/185276", ICLOUD, 554,
     "5.7.1 [HM08] Message rejected due to local policy.", "content_rejected", "bounce"),
    ("smtp.codes/icloud", ICLOUD, 550,
     "5.7.1 Your email was rejected due to having a domain present in the Spamhaus DBL",
     "content_rejected", "bounce"),
    ("smtp.codes/icloud", ICLOUD, 550, "5.1.1 <a@icloud.com>: user does not exist",
     "invalid_recipient", "bounce"),
    ("postmaster.comcast.net/mail-error-codes", COMCAST, 421,
     "4.1.0 192.0.2.1 Throttled - try again later. Please see RL000003", "rate_limited",
     "back_off"),
    ("postmaster.comcast.net/smtp-error-codes", COMCAST, 421, "Too many sessions opened",
     "rate_limited", "back_off"),
    ("postmaster.comcast.net/mail-error-codes", COMCAST, 554,
     "resimta comcast 192.0.2.1 Comcast block for spam. Please see BL000001", "reputation_block",
     "suspend"),
    ("avolio.com/weblog/2008/06/28", COMCAST, 554,
     "Comcast requires that all mail servers must have a PTR record with a valid Reverse DNS "
     "entry.", "auth_failure", "bounce"),
    ("postmaster.gmx.com/en/error-messages", GMX, 554,
     "gmx.net (mxgmx104) Nemesis ESMTP Service not available\nNo SMTP service\nIP address is "
     "block listed.", "reputation_block", "suspend"),
    ("comservice-ffo.de/smtp-fehlermeldungen", GMX, 421,
     "Rate limit reached. Please try again later", "rate_limited", "back_off"),
    ("comservice-ffo.de/smtp-fehlermeldungen", GMX, 450, "Reject due to policy violations.",
     "reputation_block", "back_off"),
    ("smtp.codes/unitedinternet", "mx-ha02.web.de", 550,
     "<a@web.de>: Reject due to SPF policy. The originating IP of the message is not permitted",
     "auth_failure", "bounce"),
    ("postmaster.gmx.net", GMX, 554,
     "Transaction failed\nReject due to policy restrictions.", "content_rejected", "bounce"),
    ("smtp.codes/unitedinternet", GMX, 550,
     "<a@gmx.de>: Requested action not taken: mailbox unavailable", "invalid_recipient",
     "bounce"),
    ("spamresource.com/2020/06", T_ONLINE, 554,
     "IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact "
     "tosa@rx.t-online.de to clarify.) (BL)", "reputation_block", "suspend"),
    ("timmehosting.de", T_ONLINE, 554,
     "IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact "
     "tobr@rx.t-online.de for reset. (NOWL)", "reputation_block", "suspend"),
    ("bentonow.com/smtp-errors/orange", ORANGE, 421,
     "mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. Too many "
     "connections, slow down. OFR004_104", "rate_limited", "back_off"),
    ("suped.com, OFR_999", ORANGE, 421,
     "mwinf5c04 ME Service refuse. Veuillez essayer plus tard. Service refused, please try "
     "later. OFR_999", "rate_limited", "suspend"),
    ("postmastery.com/orange-postmaster", ORANGE, 550,
     "5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416",
     "invalid_recipient", "bounce"),
    ("postmastery.com/orange-postmaster", ORANGE, 550,
     "5.2.0 Mail rejete. Mail rejected. OFR_506", "content_rejected", "bounce"),
    ("postmaster.free.fr", "mx1.free.fr", 421,
     "Too many spams from your IP (192.0.2.1), please visit http://postmaster.free.fr/",
     "reputation_block", "suspend"),
    ("help.mail.ru/postmaster/errors", MAIL_RU, 451, "4.7.1 Ratelimit exceeded", "rate_limited",
     "back_off"),
    ("help.mail.ru/postmaster/errors", MAIL_RU, 550,
     "spam message rejected. Please visit http://help.mail.ru/notspam-support/",
     "content_rejected", "bounce"),
    ("help.mail.ru/postmaster/errors", MAIL_RU, 550,
     "Message was not accepted -- invalid mailbox. Local mailbox a@mail.ru is unavailable: "
     "user not found", "invalid_recipient", "bounce"),
    ("help.mail.ru/postmaster/errors", MAIL_RU, 550, "Access to this account is disabled.",
     "inactive_mailbox", "bounce"),
    ("yandex.com/support/mail", YANDEX, 554,
     "5.7.1 [1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc",
     "content_rejected", "bounce"),
    ("yandex.com/support/mail", YANDEX, 451,
     "4.5.1 The recipient has exceeded their message rate limit. Try again later.",
     "rate_limited", "retry"),
    ("qiao.yimirj.com/article/detail/2261", QQ, 550,
     "Connection frequency limited. http://service.mail.qq.com/cgi-bin/help?id=20022",
     "rate_limited", "retry"),
    ("computersolutions.cn/blog, QQ", QQ, 550, "Ip frequency limited.", "rate_limited", "retry"),
    ("qiao.yimirj.com/article/detail/2261", QQ, 550,
     "Mailbox unavailable or access denied", "rate_limited", "retry"),
    ("service.mail.qq.com", QQ, 550, "Mail content denied.", "content_rejected", "bounce"),
    ("biecuoliao.com, error codes of 163.com", NETEASE, 421,
     "HL:ICC 163 mx1,192.0.2.1", "rate_limited", "back_off"),
    ("biecuoliao.com, error codes of 163.com", NETEASE, 554,
     "DT:SPM 163 mx1,192.0.2.1", "content_rejected", "bounce"),
    ("biecuoliao.com, error codes of 163.com", NETEASE, 450, "DT:RBL 163 mx1,192.0.2.1",
     "reputation_block", "suspend"),
    ("help.proofpoint.com", PROOFPOINT, 554,
     "Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", "reputation_block",
     "suspend"),
    ("csi.cloudmark.com", PROOFPOINT, 550,
     "5.7.1 Connection refused. 192.0.2.1 is blocked. See http://csi.cloudmark.com/reset-request",
     "reputation_block", "suspend"),
    ("mimecastsupport.zendesk.com 34000709564691", MIMECAST, 451,
     "Internal resource is temporarily unavailable - "
     "https://community.mimecast.com/docs/DOC-1369#451", "temporary_failure", "retry"),
    ("mimecastsupport.zendesk.com 34000709564691", MIMECAST, 550,
     "Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550",
     "invalid_recipient", "bounce"),
    ("mimecastsupport.zendesk.com 34000709564691", MIMECAST, 554,
     "Email rejected due to security policies", "policy_rejected", "bounce"),
    ("barracudacentral.org/rbl", BARRACUDA, 550,
     "Service unavailable; Client host [192.0.2.1] blocked using Barracuda Reputation; "
     "http://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.1", "reputation_block",
     "bounce"),
    ("campus.barracuda.com", BARRACUDA, 550,
     "permanent failure for one or more recipients (a@example.net:blocked)", "policy_rejected",
     "bounce"),
    ("smtp.codes/rackspace", "mx1.emailsrvr.com", 451,
     "4.7.1 Received too many messages from a new or untrusted IP (G28)", "rate_limited",
     "back_off"),
    ("smtp.codes/rackspace", "mx1.emailsrvr.com", 450,
     "4.2.1 <a@example.net>: Mailbox received too much email in a short period of time (G30)",
     "rate_limited", "retry"),
    ("Cisco Secure Email", ANYBODY, 554,
     "Your access to this mail system has been rejected due to the sending MTA's poor "
     "reputation.", "reputation_block", "suspend"),
    ("spamhaus.org/returnc", ANYBODY, 554,
     "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; "
     "https://www.spamhaus.org/query/ip/192.0.2.1", "reputation_block", "suspend"),
    ("spamhaus.org/dbl", ANYBODY, 550,
     "5.7.1 Blocked by dbl.spamhaus.org: example.com", "content_rejected", "bounce"),
    ("spamcop.net/bl", ANYBODY, 554,
     "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.spamcop.net",
     "reputation_block", "bounce"),
    ("onesystems.ch", ANYBODY, 554,
     "5.7.1 Service unavailable; Client host [] blocked using ix.dnsbl.manitu.net",
     "reputation_block", "bounce"),
    ("bytecamp.net/de/faq", ANYBODY, 450, "4.2.0 Recipient address rejected: Greylisted",
     "temporary_failure", "retry"),
    ("bytecamp.net/de/faq", ANYBODY, 450,
     "4.7.1 Client host rejected: cannot find your reverse hostname", "auth_failure", "retry"),
    ("bytecamp.net/de/faq", ANYBODY, 421, "4.7.0 Error: too many connections from 192.0.2.1",
     "rate_limited", "back_off"),
    ("qmail, vpopmail chkuser", ANYBODY, 550,
     "sorry, no mailbox here by that name (#5.1.1 - chkuser)", "invalid_recipient", "bounce"),
    ("Dovecot", ANYBODY, 552, "5.2.2 <a@example.net> Quota exceeded (mailbox for user is full)",
     "mailbox_full", "bounce"),
    ("Exchange 2013", ANYBODY, 452,
     "4.3.1 Insufficient system resources (UsedDiskSpace[C:\\Exchange])", "temporary_failure",
     "retry"),
    ("RFC 5321 4.2.3", ANYBODY, 451, "Requested action aborted: local error in processing",
     "temporary_failure", "retry"),
    ("RFC 5321 4.2.3", ANYBODY, 554, "Transaction failed", "unclassified", "bounce"),
]  # fmt: skip


def _judged(host: str, code: int, text: str) -> Judgement:
    outcome = replace(outcome_of_reply(code, text, started_at=clock.now()), mx_host=host)
    return judge(outcome, domain="example.org")


@pytest.mark.parametrize(("seen", "host", "code", "text", "bounce_class", "action"), SEEN)
def test_a_reply_means_what_its_receiver_says(
    seen: str, host: str, code: int, text: str, bounce_class: str, action: str
) -> None:
    judged = _judged(host, code, text)

    assert (judged.outcome.bounce_class, judged.action) == (
        BounceClass(bounce_class),
        Action(action),
    )
    assert (judged.suspend_for > timedelta()) == (judged.action is Action.SUSPEND)


def test_a_5xx_that_passes_by_itself_is_tried_again() -> None:
    judged = _judged(QQ, 550, "Sender frequency limited")

    assert judged.outcome.verdict is Verdict.DEFERRED


def test_the_words_of_one_receiver_mean_nothing_at_another() -> None:
    judged = _judged(ANYBODY, 550, "5.7.1 (S3150) [TSS04] frequency limited OFR_506")

    assert judged.outcome.bounce_class is BounceClass.POLICY_REJECTED
    assert judged.action is Action.BOUNCE


def test_the_recipients_domain_names_the_receiver_where_the_host_does_not() -> None:
    outcome = outcome_of_reply(550, "Ip frequency limited.", started_at=clock.now())

    assert judge(outcome, domain="qq.com").action is Action.RETRY
    assert judge(outcome, domain="notqq.com").action is Action.BOUNCE


def test_a_hostile_reply_costs_no_time() -> None:
    started = time.process_time()
    for text in ("x" * 100_000, "blocked " * 20_000, "IP=" + " a" * 50_000, "(" * 100_000):
        _judged(ANYBODY, 550, text)

    assert time.process_time() - started < 0.5


def test_what_was_taken_is_left_as_it_is() -> None:
    judged = _judged(GMAIL, 250, "2.0.0 OK blocked using zen.spamhaus.org")

    assert (judged.outcome.verdict, judged.outcome.bounce_class) == (Verdict.DELIVERED, None)


def test_every_class_that_a_reply_can_have_is_given_by_some_rule_or_code() -> None:
    given = {rule.bounce_class for rule in rules()} | {BounceClass(row[4]) for row in SEEN}

    assert given == set(BounceClass) - {
        BounceClass.BAD_DOMAIN,  # by code alone: 5.1.2, 5.1.10, 556
        BounceClass.CONNECTION_FAILURE,  # there was no reply
    }
