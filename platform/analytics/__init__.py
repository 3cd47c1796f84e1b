"""Analytics: how much mail there was and what became of it, summed up as events come in.

A consumer of events adds each one to the counts of its quarter of an hour and its day, once
for every dimension of its mail and once for all of them together, so that a question reads
sums and no events. Recipients are counted, not messages, at the time their message was
accepted; opens, clicks and complaints at their own time. A late event corrects the past.
Simulated and sandbox mail is left out. Everything can be counted again from the events, for
as long as these are kept, and `postlane doctor` does so for a sampled day.

What is relied on in the data of events:

- `attempt` numbers attempts from 1; `vmta` and `mx_host` say where one went; `bounce_class`
  and `bounce_type` say why it failed. A late bounce has `source` `dsn`.
- `message.opened` has `machine_open` and `message.clicked` has `bot`: it was no person.
- `first` is true on one event for each delivery, type and kind (person or not): the first of
  its kind. `opens` and `clicks` are all events, `unique_opens` and `unique_clicks` the first
  ones of people; with machines included, the first of either kind.
- `occurred_at` of an open, click or complaint is when it happened, however late it is written.

Words: a *set* is mail that is counted together, such as that of one sending domain; a *cell*
is what one set came to in one stretch of time; a *grain* is how long that stretch is.
"""
