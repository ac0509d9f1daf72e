"""Where the figures in docs/benchmarks.md come from: this service and others, on the same machine, model and images."""
