"""HTTP only: read the request, call one thing, shape the answer."""
