"""Shows agents at work in a terminal: a dashboard for people, a stream of events for programs."""
