"""A log of who did what, that is the same each time it is made: 50 types from 10 sources by 200,000 users, most of it by few of them."""
import itertools
import random
from array import array

from ranges import DAY, Shape

USERS = 200_000
# A power of two, so that some bits of a number choose a slot.
SLOTS = 1 << 22
BATCH = 5_000


def zipf(count, slots):
    """In `slots` slots ranks from 0, rank r in proportion to 1 / (r + 1): who draws a slot draws a user."""
    cumulative = list(itertools.accumulate(1 / (rank + 1) for rank in range(count)))
    table = array("I")
    for rank, share in enumerate(cumulative):
        table.extend(array("I", [rank]) * (round(share / cumulative[-1] * slots) - len(table)))
    return table


class Log(Shape):
    """Events by their numbers. Every `size` of them go once over the days, in the order of time from batch to batch, as they come in when
    they happen; scattered, each batch has all of the days in it."""

    def __init__(self, name, start, size, days=30, scattered=False):
        self.name, self.start, self.days = name, start, days
        self.batches = 1 if scattered else -(-size // BATCH)
        self.users = zipf(USERS, SLOTS)
        self.who = [f'"userId":"user-{rank}"' for rank in range(USERS)]
        self.what = [f'"type":"type-{type}","source":"source-{source}"' for source in range(10) for type in range(50)]
        plans = ["free"] * 8 + ["pro"] * 4 + ["team"] * 2 + ["enterprise"]
        # Users of one in sixteen have no plan.
        self.plans = [f'"plan":"{plan}",' for plan in plans] + [""]
        self.pages = [f'"page":"/{section}/{page}"' for section in ("shop", "help", "blog", "docs") for page in range(250)]
        # Quarters have exact sums in any order, so that all who add them agree to the last bit.
        self.amounts = [f',"amount":{quarters / 4:g}}}}}' for quarters in range(1, 1025)]

    def events(self, numbers):
        """Of one batch, or its first."""
        assert numbers.start % BATCH == 0 and len(numbers) <= BATCH
        batch = numbers.start // BATCH
        span = self.days * DAY
        first, end = (span * (batch % self.batches + more) // self.batches for more in (0, 1))
        return self.lines(batch, numbers, self.start + first, end - first)

    def lines(self, batch, numbers, start, span):
        """An event for each number, at any moment from `start` on."""
        bits = random.Random(f"{self.name}/{batch}").getrandbits
        name, users, who, what, plans, pages, amounts = (
            self.name, self.users, self.who, self.what, self.plans, self.pages, self.amounts)
        for number in numbers:
            draw = bits(112)
            user = users[draw & SLOTS - 1]
            kind = (draw >> 22 & 0xFFFF) % 500
            # One event in five has an amount: those of the first ten types.
            end = amounts[draw >> 54 & 1023] if kind % 50 < 10 else "}}"
            yield (
                f'{{"id":"{name}-{number}",{what[kind]},{who[user]},"timestamp":{start + (draw >> 64) % span},'
                f'"data":{{{plans[user & 15]}{pages[(draw >> 38 & 0xFFFF) % 1000]}{end}'
            )

    def batched(self, numbers):
        """The lines of many batches."""
        for first in range(numbers.start, numbers.stop, BATCH):
            yield from self.events(range(first, min(first + BATCH, numbers.stop)))
