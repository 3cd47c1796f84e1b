"""Dashboard: pages for people, made of GraphQL documents and templates.

A page is one document and one template; an action is one mutation and where it leads. Every
page is an address that works by plain link and plain form, and htmx only improves it. What
somebody may see or do is decided by the schema, as for every other edge: nothing here reads a
table. The organization is the one in the path, looked up once, before the document runs.
"""
