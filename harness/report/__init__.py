"""What people look at, made from a run's summary and records."""
