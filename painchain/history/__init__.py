"""Past configuration, reconstructed from the audit trail."""
