"""Delivery: the spool. Contents, deliveries, attempts and the queues they wait in.

A delivery is one recipient of one message. It is due because its row says so: `due_at` is
when it may next be claimed, and null once it is final. A claim is a lease, for it moves
`due_at` to the lease's end; whoever settles must name the attempt it claimed. Accepted
means committed.
"""
