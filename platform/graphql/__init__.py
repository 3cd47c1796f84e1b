"""GraphQL: the one door to the product; arguments in, types out.

`schema` joins the areas, `execute` runs documents for the other edges, `http` serves
`POST /graphql`. A resolver asks an area's `queries` or `operations` and converts; it
decides nothing.
"""
