"""Server: everything put together, and the command line."""
