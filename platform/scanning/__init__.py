"""Scanning: what rspamd says of a message as spam, and clamd of a file as a virus.

Both are programs of others that a deployment may have; without one, whoever asks for its scan is
told which setting is missing. A scan on demand costs a credit when it gave an answer, and never
otherwise. What is scanned is not kept, only what came of it.

By *policy*, an organization's or else the deployment's, outgoing mail is scanned before its first
attempt, and mail from outside before it is taken. A *scanner that is down* either holds mail back,
which is tried again, or lets it pass, as the policy says; nothing is lost either way.
"""
