"""Templates: texts that messages are filled from, kept in versions.

A version is never changed: changing a template makes the next one, and publishing chooses which
counts. What is published can be rendered: it has been tried with its defaults. A version has
texts in several languages and may have a layout, another template that it is put into. A name
that a text leaves open is a variable; it may have a default, or have to be given.
"""
