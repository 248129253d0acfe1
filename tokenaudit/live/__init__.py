"""The ledger while agents work: what it becomes with each new line, as events; `watch/` shows them.

How it works, each part in a module of its own. `watcher` waits: for the system's events, through
watchfiles, or by looking every second; it says which paths may have changed. `sources` reads what is
new there, by the same plan as every report, from states kept in memory: appended bytes alone, unless a
transcript was rewritten. `incremental_ledger` holds all rows and all responses, and merges and prices
anew only the responses that the new rows touch. `context_estimate` estimates what contexts hold beyond
their last measured prompt. `event_builder` makes events of what changed, with the figures of the reports;
`events` is their schema. `alerts` runs the user's command. In `watch/`, `stream` writes the events,
`dashboard` shows them (`dashboard_layout` is what it shows), and `loop` is the order of all this, and how
often; it rests four times as long as it works.

Totals equal those of a fresh report at any moment. Changes of the kind that a fresh report alone can
know (a transcript rewritten, or gone, beside a store that has its history) are taken from a fresh
reading. It never writes to a transcript, and needs no store.
"""
