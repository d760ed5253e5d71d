"""Where persons decide: the approvals API and the approvals page, on an address of their own."""
