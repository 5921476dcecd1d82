"""What the package costs, beside a hand-written minimum and beside others; see docs/performance.md."""
