"""Two runs compared, for people (terminal, Markdown) and for machines (JSON, JUnit)."""
