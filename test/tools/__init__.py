"""What the integration tests, the benchmark and ./quickstart share. Standard library only."""
