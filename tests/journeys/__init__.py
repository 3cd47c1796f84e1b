"""The whole product from outside: real processes, real sockets, and nothing of ours imported."""
