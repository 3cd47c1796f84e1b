"""PostageApp's JSON API, in its versions 1.0 and 1.1, which differ in nothing but the path.

Every method is a POST to `/v.1.1/<method>`, with or without `.json` behind it. The body is JSON
whatever its type says it is, and holds the key: `{"api_key", "uid", "arguments"}`. A key of one
project sends and reads, one of the whole organization makes projects and mailboxes.

What is answered is `{"response": {"status", "uid", "message"}, "data"}`; HTTP is 200 for success
only. Lists have numbered pages. A message of theirs is one of ours, a transmission a delivery.

https://dev.postageapp.com/api
"""
