"""A study: its log, the loop that fills it, and what is kept beside it."""
