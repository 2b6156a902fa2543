"""The HTTP load engine: sends on time, stamps on arrival, judges nothing."""
