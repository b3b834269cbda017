"""What every other package builds on: settings, keys, redaction, logging. Neither the database nor a request."""
