"""`lockgate recordings`: what the gateway recorded, for the people who answer for it."""
