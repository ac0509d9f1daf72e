"""The server around the application: connections, worker processes, watchdog, signals. Knows no call."""
