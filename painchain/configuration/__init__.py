"""What people configure: connectors and teams. Each change is audited."""
