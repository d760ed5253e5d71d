"""Where persons decide: the approvals API and the approvals page, for approvers alone."""
