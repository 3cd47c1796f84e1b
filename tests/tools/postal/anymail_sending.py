"""Sends with Anymail's Postal backend, as a Django project would, and tells what it got."""

import json
import os
import sys

import django
from anymail.exceptions import AnymailRequestsAPIError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives

settings.configure(
    EMAIL_BACKEND="anymail.backends.postal.EmailBackend",
    ANYMAIL={"POSTAL_API_URL": os.environ["URL"], "POSTAL_API_KEY": os.environ["KEY"]},
    INSTALLED_APPS=["anymail"],
    DEFAULT_CHARSET="utf-8",
)
django.setup()

sender, recipient = os.environ["SENDER"], os.environ["RECIPIENT"]
message = EmailMultiAlternatives(
    subject="Grüße",
    body="Text.",
    from_email=f"Shop <{sender}>",
    to=[f"Ann <{recipient}>"],
    bcc=[f"blind-{recipient}"],
    reply_to=["answers@example.net"],
    headers={"X-Order": "4711"},
)
message.attach_alternative("<p>HTML.</p>", "text/html")
message.attach("a.txt", "content", "text/plain")
message.tags = ["welcome"]
message.envelope_sender = f"robot@{sender.partition('@')[2]}"
message.send()
status = message.anymail_status

foreign = EmailMultiAlternatives("x", "x", "a@elsewhere.example", [recipient])
try:
    foreign.send()
    refused = None
except AnymailRequestsAPIError as error:
    refused = {"status": error.response.status_code, "body": error.response.json()}

recipients = {
    email: {"id": each.message_id, "status": each.status}
    for email, each in status.recipients.items()
}
json.dump({"recipients": recipients, "refused": refused}, sys.stdout)
