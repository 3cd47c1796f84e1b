"""Greylisting: who writes for the first time is asked to come again, as real servers do.

A *triplet* is a client's network, the envelope's sender and its recipient. The first time it is
seen it is put off; after the delay, and before the retry window is over, it passes, and then it
passes until it was not seen for long. A network that has passed a few times passes with everything.

What is put off, and for how long, is an organization's to say for mail to its own addresses, or
else the deployment's. Reports without a sender to a signed address of ours are not put off unless
somebody asks for that: the address proves that the reporter was sent mail by us. Whoever signs in
never comes here.
"""
