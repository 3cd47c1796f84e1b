"""Files that customers have made of what they have here, in the background.

An export says what is wanted and how far it is; the file is in parts, each a page of a list as
whoever asked for it may read it. A part and the place behind it are one transaction, so that
nothing is missing or there twice, whatever dies. A file is kept for a few days, and for less
where somebody is erased meanwhile.
"""
