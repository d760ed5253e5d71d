"""What end-to-end tests stand on: a target that records every byte, an issuer of tokens, a real gateway process.

Nothing here imports Lockgate: it looks from outside, as an agent, a target and an operator do.
"""
