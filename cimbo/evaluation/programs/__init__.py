"""Programs of a user's as evaluators: what they are asked, how they run, and what counts as their answer.

The protocol is described field by field in docs/protocol.md.
"""
