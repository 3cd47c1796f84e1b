"""Credits: what an organization has left to send with.

One `email` credit is one recipient. A balance is a whole number and never negative. It is
the sum of the lots that have not expired, spent plan-included ones first, then by earliest
expiry; each lot is spread over several shares, so that parallel sends do not queue up
behind one row. Every change is one `CreditEntry`, which moves an amount from one account
to another, in the transaction that makes it true; `credit_usage` sums them up by day and
source. Entries are forgotten after two years, and what they moved is carried forward. A lot
that has ended is not spent, and is emptied the night after. An alert tells once of each fall
below its threshold. Packages are what is sold.
"""
