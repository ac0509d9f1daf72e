"""The service, but that a worker that could not start is tried again after a second: for tests that wait for that."""

from service.__main__ import main
from service.server import supervisor

if __name__ == "__main__":
    supervisor.RETRY_S = 1.0
    main()
