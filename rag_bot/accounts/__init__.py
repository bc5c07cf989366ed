"""Who uses the service and what each may do: users, API keys, quotas and the audit log, in the conversations' database."""
