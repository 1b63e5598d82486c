"""A deterministic log: 50 types from 10 sources by 200,000 users, most events by few users."""
import itertools
import random
from array import array

from ranges import DAY, Shape

USERS = 200_000
# A power of two, so that the low bits of a random number select a slot.
SLOTS = 1 << 22
BATCH = 5_000


def zipf(count, slots):
    """A table of `slots` slots with ranks from 0; rank r has a share in proportion to 1 / (r + 1). A random slot gives a random user."""
    cumulative = list(itertools.accumulate(1 / (rank + 1) for rank in range(count)))
    table = array("I")
    for rank, share in enumerate(cumulative):
        table.extend(array("I", [rank]) * (round(share / cumulative[-1] * slots) - len(table)))
    return table


class Log(Shape):
    """Events by number. Every `size` events cover the days once, in the order of time from batch to batch, as live events
    would. If scattered, each batch covers all days."""

    def __init__(self, name, start, size, days=30, scattered=False):
        self.name, self.start, self.days = name, start, days
        self.batches = 1 if scattered else -(-size // BATCH)
        self.users = zipf(USERS, SLOTS)
        self.who = [f'"userId":"user-{rank}"' for rank in range(USERS)]
        self.what = [f'"type":"type-{type}","source":"source-{source}"' for source in range(10) for type in range(50)]
        plans = ["free"] * 8 + ["pro"] * 4 + ["team"] * 2 + ["enterprise"]
        # One user in sixteen has no plan.
        self.plans = [f'"plan":"{plan}",' for plan in plans] + [""]
        self.pages = [f'"page":"/{section}/{page}"' for section in ("shop", "help", "blog", "docs") for page in range(250)]
        # Multiples of 1/4 have exact sums in any order, so all implementations agree to the last bit.
        self.amounts = [f',"amount":{quarters / 4:g}}}}}' for quarters in range(1, 1025)]

    def events(self, numbers):
        """The events of one batch, or the first of them."""
        assert numbers.start % BATCH == 0 and len(numbers) <= BATCH
        batch = numbers.start // BATCH
        span = self.days * DAY
        first, end = (span * (batch % self.batches + more) // self.batches for more in (0, 1))
        return self.lines(batch, numbers, self.start + first, end - first)

    def lines(self, batch, numbers, start, span):
        """An event for each number, at a random moment in the span from `start` on."""
        bits = random.Random(f"{self.name}/{batch}").getrandbits
        name, users, who, what, plans, pages, amounts = (
            self.name, self.users, self.who, self.what, self.plans, self.pages, self.amounts)
        for number in numbers:
            draw = bits(112)
            user = users[draw & SLOTS - 1]
            kind = (draw >> 22 & 0xFFFF) % 500
            # One event in five has an amount: those of ten types.
            end = amounts[draw >> 54 & 1023] if kind % 50 < 10 else "}}"
            yield (
                f'{{"id":"{name}-{number}",{what[kind]},{who[user]},"timestamp":{start + (draw >> 64) % span},'
                f'"data":{{{plans[user & 15]}{pages[(draw >> 38 & 0xFFFF) % 1000]}{end}'
            )

    def batched(self, numbers):
        """The lines of many batches."""
        for first in range(numbers.start, numbers.stop, BATCH):
            yield from self.events(range(first, min(first + BATCH, numbers.stop)))
