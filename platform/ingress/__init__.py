"""Ingress mailboxes: mail that comes in for a customer, posted to their program.

A mailbox has an address here, and may be an account on somebody's IMAP server that is looked
into. What comes in is written down before it is acknowledged or passed by, and posted until the
program takes it or its time is over. What was posted is not kept; that it was, is shown for a
month. Nothing in the customer's account is changed.
"""
