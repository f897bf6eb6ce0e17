"""Schedules against the commands' contract, by an independent checker: legal and complete."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.schedule.job import Job
from golden.schedule.scheduler import Schedule, schedule
from golden.schedule.tiling import Order
from golden.spec.commands import Compute, Configure, Geometry, Load, Output, RingName
from golden.spec.formats import Piecewise
from golden.spec.modes import MODE_NAMES, mode
from hw.config import Config
from hw.gateware.core.core import geometry
from tests.support import legal
from tests.support.jobs import config, random_job

BUSES = (1, 2, 4, 8, 16, 32)


@dataclass
class Buffer:
    """A ring as bytes: `fill` lines from line `tail`; the next line is written at `head`."""

    line: int
    lines: int
    head: int
    factor: int
    tail: int = field(init=False)
    fill: int = 0
    content: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tail = self.head

    def put(self, content: bytes) -> None:
        for start in range(0, len(content), self.line):
            assert self.fill < self.lines, "a load beyond the room"
            self.content[self.head] = content[start : start + self.line]
            self.head = (self.head + 1) % self.lines
            self.fill += 1

    def read(self, line: int, words: int) -> tuple[bytes, int]:
        """Words of a panel, and the number of lines from the tail to its end."""
        lines = -(-words // self.factor)
        assert 0 <= line < self.lines
        behind = (line - self.tail) % self.lines + lines
        assert behind <= self.fill, "a panel that is not in its ring"
        content = b"".join(self.content[(line + i) % self.lines] for i in range(lines))
        return content[: words * self.line // self.factor], behind

    def free(self, lines: int) -> None:
        self.tail = (self.tail + lines) % self.lines
        self.fill -= lines


def buffers(subject: Config, heads: tuple[int, int, int]) -> list[Buffer]:
    columns = subject.cols * subject.w_lanes
    words = [(subject.rows, subject.x_ring.words), (subject.cols, subject.w_ring.words)]
    words += [(8 * subject.results, -(-columns // subject.results))]
    made = []
    for (word, count), head in zip(words, heads, strict=True):
        factor = 1
        while factor * word < subject.bus:
            factor *= 2
        lines = -(-count // factor) * (subject.panels if len(made) == 2 else 1)
        made.append(Buffer(word * factor, lines, head, factor))
    return made


def codes(panel: bytes, k: int, width: int, lanes: int) -> np.ndarray:
    """Codes [width * lanes, k] of a panel, as unsigned bytes or nibbles."""
    words = np.frombuffer(panel, np.uint8).reshape(k, width)
    if lanes == 2:
        words = np.stack([words & 15, words >> 4], axis=-1).reshape(k, 2 * width)
    return words.T


def assert_operand(panel: bytes, operand: np.ndarray, width: int, lanes: int, first: int) -> None:
    """The panel contains operand[first...], [count, k], followed by zeros."""
    found = codes(panel, operand.shape[1], width, lanes)
    expected = np.zeros_like(found)
    there = operand[first : first + len(found)].astype(np.int16) & (15 if lanes == 2 else 255)
    expected[: len(there)] = there
    np.testing.assert_array_equal(found, expected)


def check(
    subject: Config, jobs: list[Job], plan: Schedule, heads: tuple[int, int, int] = (0, 0, 0)
) -> None:
    stream, rings = plan.load_stream(), buffers(subject, heads)
    position = 0
    panels, tiles = deque(plan.panels), deque(plan.tiles)
    covered = [np.zeros((job.shape[0], job.shape[2]), int) for job in jobs]
    now: Configure | None = None
    for command in plan.commands:
        if isinstance(command, Configure):
            now = command
        elif isinstance(command, Load):
            ring = rings[command.ring]
            assert panels.popleft().ring == command.ring
            assert 1 <= command.lines <= ring.lines
            beats = -(-command.lines * ring.line // subject.bus)
            ring.put(stream[position : position + command.lines * ring.line])
            position += beats * subject.bus
        else:
            assert now is not None
            tile = tiles.popleft()
            assert_tile(subject, jobs[tile.job], now, command, rings, tile)
            assert (command.rows, command.columns) == (tile.rows, tile.columns)
            covered[tile.job][
                tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns
            ] += 1
    assert not panels
    assert not tiles
    assert position == len(stream) == plan.load_transfers * subject.bus
    assert all((count == 1).all() for count in covered)
    assert [ring.fill for ring in rings] == [0, 0, 0]
    assert tuple(ring.head for ring in rings) == plan.heads


def assert_tile(
    subject: Config, job: Job, now: Configure, command: Compute, rings: list[Buffer], tile: Any
) -> None:
    """Settings, operands and parameters of a tile match its job; frees the lines it frees."""
    _, k, n = job.shape
    assert subject.modes[now.mode].name == job.mode.name
    assert now.k == k
    assert (now.output >= Output.EIGHT) == (job.epilogue is not None)
    if isinstance(job.mode.w_format, Piecewise):
        assert (now.ratio, now.offset) == (job.mode.w_format.ratio, job.mode.w_format.offset)
    assert 1 <= command.rows <= subject.rows * job.mode.x_lanes
    assert 1 <= command.columns <= subject.cols * job.mode.w_lanes
    x, x_lines = rings[0].read(command.x, k)
    assert_operand(x, job.x, subject.rows, job.mode.x_lanes, tile.row)
    w, w_lines = rings[1].read(command.w, k)
    assert_operand(w, job.w.T, subject.cols, job.mode.w_lanes, tile.column)
    behind = [x_lines, w_lines, 0]
    if now.output == Output.SUM:
        assert job.bias is None
    else:
        assert (now.output == Output.FOUR) == (job.epilogue is not None and job.epilogue.bits == 4)
        content, behind[2] = rings[2].read(command.p, -(-command.columns // subject.results))
        columns = slice(tile.column, min(tile.column + command.columns, n))
        for column, record in zip(
            range(n)[columns], zip(*[iter(content)] * 8, strict=True), strict=False
        ):
            bias = 0 if job.bias is None else int(job.bias[column])
            assert int.from_bytes(record[:4], "little", signed=True) == bias
            if job.epilogue is not None:
                assert int.from_bytes(record[4:6], "little") == job.epilogue.mult[column]
                assert record[6] == job.epilogue.shift[column]
    for ring in RingName:
        if command.free >> ring & 1:
            rings[ring].free(behind[ring])
    assert command.free < 8


@st.composite
def builds(draw: Any) -> Config:
    k_max = draw(st.integers(1, 40))
    return config(
        *MODE_NAMES,
        rows=draw(st.integers(1, 16)),
        cols=draw(st.integers(1, 16)),
        k_max=k_max,
        bus=draw(st.sampled_from(BUSES)),
        results=draw(st.sampled_from((1, 2, 4, 8))),
        x_words=draw(st.integers(k_max, 3 * k_max)),
        w_words=draw(st.integers(k_max, 3 * k_max)),
        panels=draw(st.integers(1, 5)),
    )


def random_jobs(rng: np.random.Generator, subject: Config, count: int) -> list[Job]:
    jobs = []
    for _ in range(count):
        chosen = legal.any_piecewise(rng, subject.modes[rng.integers(len(subject.modes))])
        shape = (
            int(rng.integers(1, 4 * subject.rows + 2)),
            int(rng.integers(1, subject.k_max + 1)),
            int(rng.integers(1, 4 * subject.cols + 2)),
        )
        jobs.append(
            random_job(
                rng,
                chosen,
                shape,
                requantize=bool(rng.integers(2)),
                biased=bool(rng.integers(2)),
                bits=int(rng.choice([4, 8])),
            )
        )
    return jobs


@settings(deadline=None, max_examples=150)
@given(builds(), st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_schedules_keep_the_contract(subject: Config, seed: int, count: int) -> None:
    jobs = random_jobs(np.random.default_rng(seed), subject, count)
    first = schedule(jobs, geometry(subject), subject.index)
    check(subject, jobs, first)
    assert first.cycles > 0
    # A second schedule continues at the write pointers of the first.
    check(
        subject,
        jobs[::-1],
        schedule(jobs[::-1], geometry(subject), subject.index, heads=first.heads),
        first.heads,
    )


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from((RingName.X, RingName.W)),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_every_order_that_fits_keeps_the_contract(
    resident: RingName, block: int, seed: int, raw: bool
) -> None:
    subject = config(
        "w8a8", "w4a4", rows=3, cols=5, k_max=16, x_words=80, w_words=80, bus=4, panels=5
    )
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 17)), int(rng.integers(1, 40)))
    job = random_job(rng, mode("w8a8"), shape, requantize=not raw, biased=not raw)
    plan = schedule([job], geometry(subject), subject.index, orders=[Order(resident, block)])
    check(subject, [job], plan)


@pytest.mark.parametrize("bus", BUSES)
@pytest.mark.parametrize("name", MODE_NAMES)
def test_every_mode_on_every_bus(name: str, bus: int) -> None:
    subject = config(*MODE_NAMES, rows=3, cols=5, k_max=30, bus=bus)
    rng = np.random.default_rng(bus)
    jobs = [
        random_job(rng, mode(name), (13, 29, 31), requantize=requantize, biased=biased)
        for requantize, biased in ((False, False), (False, True), (True, False))
    ]
    check(subject, jobs, schedule(jobs, geometry(subject), subject.index))


def small(**parameters: int) -> tuple[Config, Geometry]:
    subject = config(
        "w8a8", rows=2, cols=2, k_max=16, x_words=40, w_words=40, panels=2, **parameters
    )
    return subject, geometry(subject)


def zeros(m: int, k: int, n: int) -> Job:
    return Job("zeros", mode("w8a8"), np.zeros((m, k), np.int8), np.zeros((k, n), np.int8))


def test_a_deep_job_is_named() -> None:
    subject, size = small()
    with pytest.raises(ValueError, match=r"^k: expected at most k_max = 16, got 17$"):
        schedule([zeros(1, 17, 1)], size, subject.index)


@pytest.mark.parametrize("ring", [RingName.X, RingName.W])
def test_an_order_that_does_not_fit_is_named(ring: RingName) -> None:
    subject, size = small()
    job = zeros(8, 16, 8)
    with pytest.raises(
        ValueError, match=rf"^order: expected panels that fit the {ring.name} buffer$"
    ):
        schedule([job], size, subject.index, orders=[Order(ring, 3)])


def test_panels_that_never_fit_are_named() -> None:
    subject, size = small()
    tight = Geometry(**{**vars(size), "k_max": 99})
    with pytest.raises(ValueError, match=r"^k: expected panels that fit the buffers, got K = 50$"):
        schedule([zeros(2, 50, 2)], tight, subject.index)


def test_an_unknown_mode_is_named() -> None:
    _, size = small()
    subject = config("w4a8", rows=2, cols=2)
    with pytest.raises(ValueError, match=r"^mode: expected one of w4a8, got 'w8a8'$"):
        schedule([zeros(1, 1, 1)], size, subject.index)
