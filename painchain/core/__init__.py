"""The base of every other package: settings, keys, redaction, logging. It uses neither the database nor a request."""
