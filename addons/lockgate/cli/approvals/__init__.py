"""`lockgate approvals`: what persons decide, from the command line, over the gateway's approvals API."""
