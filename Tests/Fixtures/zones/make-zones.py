#!/usr/bin/env python3
"""Copies zones of this machine, and writes what Python's zoneinfo says of them: the zones' tests compare ours with it."""
import json, pathlib, random, shutil
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONES = ["Europe/Berlin", "Europe/Dublin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "America/New_York",
         "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia", "America/Godthab", "Pacific/Chatham", "Asia/Gaza"]
here = pathlib.Path(__file__).parent
random.seed(20261127)
UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

def first_moment(zone, day):
    """The first minute at which the zone's date is `day` or later, found by looking at every minute around it."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=36)
    while moment.astimezone(zone).date() < day: moment += timedelta(minutes=1)
    return moment

result = {}
for name in ZONES:
    target = here / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(pathlib.Path("/usr/share/zoneinfo") / name, target)
    zone = ZoneInfo(name)
    seconds = [random.randrange(-3_000_000_000, 20_000_000_000) for _ in range(150)] + [random.randrange(0, 1_900_000_000) for _ in range(150)]
    offsets = [[s, int((EPOCH + timedelta(seconds=s)).astimezone(zone).utcoffset().total_seconds())] for s in seconds]
    # The days of changes, and others.
    days, last = [], None
    moment = datetime(1972, 1, 2, tzinfo=UTC)
    while moment.year < 2036:
        offset = moment.astimezone(zone).utcoffset()
        if last is not None and offset != last: days.append((moment - timedelta(days=1)).date())
        last, moment = offset, moment + timedelta(days=1)
    days = random.sample(days, min(40, len(days)))
    starts = []
    for day in sorted({d + timedelta(days=n) for d in days for n in (0, 1)}):
        starts.append([day.isoformat(), int((first_moment(zone, day) - EPOCH).total_seconds())])
    result[name] = {"offsets": offsets, "starts": starts}
(here / "zones.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
