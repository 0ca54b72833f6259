"""Ids sort by birth and cannot be guessed; the clock never runs backwards; a seed repeats both."""

from __future__ import annotations

from random import Random

from runtime import limits
from runtime.clock import SystemClock, rfc3339
from runtime.ids import ALPHABET, LENGTH, RANDOM_BITS, Drawn, Ids


class Steps:
    """A clock that stands, and can be set."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms


def test_an_id_is_its_prefix_and_26_letters_of_the_alphabet() -> None:
    made = Ids(SystemClock()).new("job_")

    assert made.startswith("job_")
    assert len(made) == len("job_") + LENGTH
    assert set(made.removeprefix("job_")) <= set(ALPHABET)


def test_ids_sort_by_birth_also_within_a_millisecond_and_when_the_clock_steps_back() -> None:
    clock = Steps(1_767_225_600_000)
    ids = Ids(clock, Random(1))  # noqa: S311  the same in every run
    made = [ids.new("x_") for _ in range(1000)]
    clock.ms += 1
    made += [ids.new("x_") for _ in range(1000)]
    clock.ms -= 3_600_000
    made += [ids.new("x_") for _ in range(1000)]

    assert made == sorted(made)
    assert len(set(made)) == 3000


def test_ids_go_on_after_those_of_an_earlier_process_whose_clock_was_ahead() -> None:
    clock = Steps(1_767_225_600_000)
    earlier = [Ids(clock, Random(1)).new("job_") for _ in range(10)]  # noqa: S311  it repeats
    clock.ms -= 30 * 86_400_000
    ids = Ids(clock, Random(2))  # noqa: S311
    for each in sorted(earlier):
        ids.follow(each)
    later = [ids.new("job_") for _ in range(100)]

    assert later == sorted(later)
    assert min(later) > max(earlier)
    tails = {each[-16:] for each in later}
    assert len(tails) == 100  # not one after the other: they cannot be guessed
    assert [a[-1] for a in later[:8]] != sorted(a[-1] for a in later[:8])


def test_one_seed_and_one_clock_make_the_same_ids() -> None:
    def made(seed: int) -> list[str]:
        ids = Ids(Steps(1), Random(seed))  # noqa: S311  the same in every run
        return [ids.new("a_"), ids.secret(), ids.new("b_")]

    assert made(1) == made(1)
    assert made(1) != made(2)


def test_a_secret_is_256_bits_as_hexadecimal() -> None:
    ids = Ids(SystemClock())

    assert len(ids.secret()) == 64
    assert len({ids.secret() for _ in range(100)}) == 100


def test_the_clock_never_runs_backwards() -> None:
    clock = SystemClock()
    read = [clock.now_ms() for _ in range(1000)]
    clock._latest_ms += 3_600_000  # as if the machine's clock were then set back by an hour
    ahead = clock._latest_ms

    assert read == sorted(read)
    assert clock.now_ms() == ahead


def test_the_clock_stands_while_that_of_the_machine_is_behind() -> None:
    shown = [5_000_000_000, 3_000_000_000, 6_000_000_000]
    clock = SystemClock(iter(shown).__next__)

    assert [clock.now_ms() for _ in shown] == [5000, 5000, 6000]


def test_a_date_is_rfc_3339_with_milliseconds() -> None:
    assert rfc3339(1_767_225_600_007) == "2026-01-01T00:00:00.007Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"


def test_randomness_drawn_ahead_is_given_out_once_and_as_wide_as_was_asked() -> None:
    drawn = Drawn()
    seen = [drawn.getrandbits(RANDOM_BITS) for _ in range(3 * limits.RANDOM_AHEAD_BYTES // 10)]
    assert len(set(seen)) == len(seen)
    assert max(seen) < 1 << RANDOM_BITS
    assert max(drawn.getrandbits(3) for _ in range(200)) == 7
    wide = drawn.getrandbits(16 * limits.RANDOM_AHEAD_BYTES)
    assert 1 << (15 * limits.RANDOM_AHEAD_BYTES) < wide < 1 << (16 * limits.RANDOM_AHEAD_BYTES)
