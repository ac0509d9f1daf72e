"""How long and how often: the short form runs with all tests, the long one by `make chaos`."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    name: str
    kills: int
    seconds_between_kills: float
    reloads: int
    watched_reloads: int
    roll_outs: int
    capacity_s: int
    overload_s: int
    slow_connections_each: int
    slow_s: float
    receive_timeout_s: int
    watchdog_timeout_s: int
    hostile_s: float
    soak_s: float
    sample_every_s: float
    soak_growth_mb: float
    leak_requests: int
    leak_bytes: int
    made_up_cases: int
    made_up_factor: int

    @property
    def is_long(self) -> bool:
        return self.name == "long"


SHORT = Form(
    name="short",
    kills=2,
    seconds_between_kills=1,
    reloads=12,
    watched_reloads=4,
    roll_outs=1,
    capacity_s=1,
    overload_s=5,
    slow_connections_each=10,
    slow_s=2,
    receive_timeout_s=1,
    watchdog_timeout_s=3,
    hostile_s=10,
    soak_s=10,
    sample_every_s=0.2,
    soak_growth_mb=60,
    leak_requests=1_000,
    leak_bytes=200_000,
    made_up_cases=400,
    made_up_factor=1,
)
LONG = Form(
    name="long",
    kills=15,
    seconds_between_kills=20,
    reloads=200,
    watched_reloads=12,
    roll_outs=10,
    capacity_s=5,
    overload_s=300,
    slow_connections_each=100,
    slow_s=30,
    receive_timeout_s=10,
    watchdog_timeout_s=30,
    hostile_s=300,
    soak_s=1_800,
    sample_every_s=5,
    soak_growth_mb=20,
    leak_requests=10_000,
    leak_bytes=20_000,
    made_up_cases=10_000,
    made_up_factor=20,
)
FORM = LONG if os.environ.get("CHAOS") == "long" else SHORT
