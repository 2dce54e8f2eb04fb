"""The driver of the scenario runner for Python, as `docs/driver-protocol.md` describes it."""
