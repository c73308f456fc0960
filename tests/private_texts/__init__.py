"""Made-up texts of the kinds that Claude Code's telemetry holds, to measure what the privacy rules find and keep.

Every text is made at random from a seed, so that no rule can be written for a listed value. Kinds are split in two
halves by the hash of their name. The rules were written with one half at hand; the other was measured first, and looked
at after that. `later` are kinds written when the rules were done: docs/privacy.md has the first figures of both.
"""
