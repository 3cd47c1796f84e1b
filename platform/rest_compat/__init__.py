"""REST compatibility: other platforms' APIs, spoken over our GraphQL documents.

A route says what a foreign endpoint is: its fields, the document it runs, how it answers.
A dialect says, once per foreign API, where the key is, how requests are decoded and how
success and failure look. Nothing is decided here that an operation decides: this folder
knows documents, and whether JSON has the right types.
"""
