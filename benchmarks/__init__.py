"""What is timed or scored, and how to run it again: `python -m benchmarks NAME`."""
