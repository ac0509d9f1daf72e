"""Our own HTTP API: read the request, call one thing, shape the answer."""
