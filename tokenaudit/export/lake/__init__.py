"""A lake: files of responses that many hosts export to one folder, and what they add up to."""
