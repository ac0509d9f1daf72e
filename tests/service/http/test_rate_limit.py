"""Each key has its allowance, whichever worker is asked, and none waits for a worker that is gone or stands still."""

import fcntl
import hashlib
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.errors import StorageFailed, TooManyRequests, Unauthorized
from service.http.auth import ApiKeys
from service.http.rate_limit import RateLimit, SharedCounts
from tests.processes import FAKE_ENGINE, STARTED, read_until, running_service, wait_for_all, workers_of
from tests.samples import ROOT

KEY, OTHER = "correct horse battery staple", "another one"
DIGESTS = [hashlib.sha256(key.encode()).hexdigest() for key in (KEY, OTHER)]


def test_a_key_has_its_allowance_and_another_its_own(tmp_path: Path) -> None:
    now = [0.0]
    keys = ApiKeys(DIGESTS, RateLimit(tmp_path / "requests", DIGESTS, 2, lambda: now[0]).spend)
    keys.admit(KEY)
    now[0] = 20
    keys.admit(KEY)
    with pytest.raises(TooManyRequests, match="has 2 requests a minute, and they are spent; go on in 40 s") as refused:
        keys.admit(KEY)
    assert refused.value.retry_after_s == 40
    keys.admit(OTHER)
    now[0] = 60
    keys.admit(KEY)
    now[0] = 3000  # no more is saved than a minute's
    keys.admit(KEY)
    keys.admit(KEY)
    with pytest.raises(TooManyRequests):
        keys.admit(KEY)
    with pytest.raises(Unauthorized):
        keys.admit("wrong")


def test_keys_that_are_tried_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    keys = ApiKeys(DIGESTS, RateLimit(path, DIGESTS, 2).spend)
    before = path.stat().st_size
    for number in range(1000):
        with pytest.raises(Unauthorized):
            keys.admit(f"guess {number}")
    assert path.stat().st_size == before < 100


def test_processes_that_count_at_the_same_time_lose_none(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    program = (
        "import sys; from pathlib import Path; from service.http.rate_limit import RateLimit\n"
        f"limit = RateLimit(Path({str(path)!r}), {DIGESTS!r}, 1_000_000)\n"
        f"for _ in range(5000): limit.spend({DIGESTS[0]!r})"
    )
    counting = [subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) for _ in range(3)]
    assert [process.wait() for process in counting] == [0, 0, 0]
    limit = RateLimit(path, DIGESTS, 15_001)
    limit.spend(DIGESTS[0])
    with pytest.raises(TooManyRequests):
        limit.spend(DIGESTS[0])


def test_a_worker_that_stands_still_with_the_lock_in_its_hand_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    limit = RateLimit(path, DIGESTS, 1)
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        limit.spend(DIGESTS[0])
        with pytest.raises(TooManyRequests):
            limit.spend(DIGESTS[0])


def test_the_storage_does_what_the_library_asks_of_one(tmp_path: Path) -> None:
    now = [100.0]
    counts = SharedCounts(tmp_path / "requests", ["a", "b"], lambda: now[0])
    assert (counts.get("a"), counts.check()) == (0, True)
    assert [counts.incr("a", 60), counts.incr("a", 60, 3), counts.incr("b", 60)] == [1, 4, 1]
    assert (counts.get("a"), counts.get_expiry("a")) == (4, 160)
    counts.clear("a")
    assert (counts.get("a"), counts.get("b")) == (0, 1)
    assert (counts.reset(), counts.get("b")) == (2, 0)
    (tmp_path / "requests").unlink()
    assert not counts.check()


def test_where_there_is_no_room_the_service_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        RateLimit(tmp_path / "there" / "is none", DIGESTS, 1)


def test_the_allowance_is_of_all_workers_together_also_of_one_that_is_new(tmp_path: Path) -> None:
    options = ("--workers", 2, "--api-keys", ",".join(DIGESTS).upper(), "--requests-per-minute", 20, *FAKE_ENGINE)
    with running_service(*options, TMPDIR=str(tmp_path)) as service:
        wait_for_all(service, 2)

        def ask(key: str) -> int:
            # Each on a connection of its own, which either worker may take.
            return httpx.get(f"{service.url}/model-card", headers={"X-API-Key": key}).status_code

        with ThreadPoolExecutor(8) as threads:
            statuses = Counter(threads.map(ask, [KEY] * 40))
        assert statuses == {200: 20, 429: 20}
        workers_of(service)[0].kill()
        read_until(service, STARTED)
        with ThreadPoolExecutor(8) as threads:
            assert Counter(threads.map(ask, [KEY] * 20)) == {429: 20}
        assert ask(OTHER) == 200
        (counts,) = tmp_path.glob("state-*/requests")
        assert counts.stat().st_size < 100
