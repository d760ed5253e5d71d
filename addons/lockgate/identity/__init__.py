"""Who is calling: tokens to principals."""
