"""The same questions for comparison: in DuckDB over Parquet files of the same events, and as the aggregations that a team would write for
MongoDB, over the events that the service has stored there. Both return numbers by (group, start of the bucket in milliseconds)."""
import datetime
import os
import pathlib
import time

TOTAL = "total"


class DuckDB:
    name = "DuckDB"

    def __init__(self, folder):
        import duckdb

        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.connection = duckdb.connect()
        self.connection.execute(f"SET memory_limit = '4GB'; SET temp_directory = '{folder}/spilled'; SET TimeZone = 'UTC'")

    def add(self, name, lines):
        """Writes events, given as JSON, to one file, unless it exists. Returns whether it was written."""
        target = self.folder / f"{name}.parquet"
        if target.exists():
            return False
        text = self.folder / f"{name}.ndjson"
        with open(text, "w") as file:
            file.writelines(f"{line}\n" for line in lines)
        self.connection.execute(f"""
            COPY (
                SELECT id, "type", source, "userId", epoch_ms("timestamp") AS "timestamp", data.plan, data.page, data.amount
                FROM read_json('{text}', format = 'newline_delimited', columns = {{
                    id: 'VARCHAR', type: 'VARCHAR', source: 'VARCHAR', userId: 'VARCHAR', timestamp: 'BIGINT',
                    data: 'STRUCT(plan VARCHAR, page VARCHAR, amount DOUBLE)'}})
                ORDER BY "timestamp"
            ) TO '{target}.part' (FORMAT parquet)""")
        text.unlink()
        os.rename(f"{target}.part", target)
        return True

    def knows(self, question, log):
        return True

    def gives(self, question, key):
        """Whether `ask` returns this number of the answer."""
        return hasattr(question, "sql") or question.is_asked(key)

    def ask(self, question, log):
        return self._journey(question, log) if hasattr(question, "sql") else self._rows(question, log)

    def expected(self, question, log):
        """All numbers of the expected answer: those of `ask`, the total of each series, and the total."""
        if hasattr(question, "sql"):
            return self._journey(question, log)
        numbers = self._rows(question, log)
        if not question.is_top:
            numbers |= self._rows(question, log, has_buckets=False)
        [total] = self._rows(question, log, has_groups=False, has_buckets=False).values()
        return {key: value for key, value in numbers.items() if value} | {TOTAL: total or 0}

    def _journey(self, question, log):
        self.connection.execute(f"CREATE OR REPLACE VIEW log AS SELECT * FROM read_parquet('{self.folder}/*.parquet')")
        rows = self.connection.execute(question.sql(log)).fetchall()
        return {question.place(part, place): value for part, place, value in rows if value}

    def _rows(self, question, log, has_groups=True, has_buckets=True):
        metric = {"events": "count(*)", "users": 'count(DISTINCT "userId")'}.get(question.metric, "sum(amount)")
        group, bucket, order = "'all'", "NULL", ""
        if question.group and has_groups:
            group = f'"{question.group.removeprefix("data.")}"'
            order = "ORDER BY n DESC, name NULLS FIRST LIMIT 10" if question.is_top else ""
        if question.interval and has_buckets:
            bucket = f"date_trunc('{question.interval}', \"timestamp\")"
            if question.zone != "UTC":
                at = f"\"timestamp\" AT TIME ZONE 'UTC' AT TIME ZONE '{question.zone}'"
                bucket = f"date_trunc('{question.interval}', {at}) AT TIME ZONE '{question.zone}' AT TIME ZONE 'UTC'"
        rows = self.connection.execute(f"""
            SELECT {group} AS name, {bucket} AS bucket, {metric} AS n FROM read_parquet('{self.folder}/*.parquet')
            WHERE "timestamp" >= epoch_ms({log.start}) AND "timestamp" < epoch_ms({question.end(log)})
            GROUP BY ALL {order}""").fetchall()
        return {(name, bucket and milliseconds(bucket.replace(tzinfo=datetime.timezone.utc))): value for name, bucket, value in rows}


class MongoDB:
    name = "MongoDB"

    def __init__(self, address):
        import pymongo

        self.database = pymongo.MongoClient(address).get_default_database()

    def gives(self, question, key):
        return question.is_asked(key)

    def knows(self, question, log):
        return not hasattr(question, "pipeline") or question.pipeline(log) is not None

    def ask(self, question, log):
        if hasattr(question, "pipeline"):
            rows = self.database.events.aggregate(question.pipeline(log), allowDiskUse=True)
            return {key: value for row in rows for key, value in question.row(row).items()}
        rows = self.database.events.aggregate(self._pipeline(question, log), allowDiskUse=True)
        numbers = {}
        for row in rows:
            key, bucket = row["_id"], row["_id"].get("bucket")
            name = key.get("name") if question.group else "all"
            numbers[name, bucket and milliseconds(bucket.replace(tzinfo=datetime.timezone.utc))] = row["n"]
        return numbers

    def _pipeline(self, question, log):
        start, end = at(log.start), at(question.end(log))
        key = {}
        if question.group:
            key["name"] = f"${question.group}"
        if question.interval:
            key["bucket"] = {"$dateTrunc": {"date": "$timestamp", "unit": question.interval, "timezone": question.zone}}
        stages = [{"$match": {"_id.project": "default", "timestamp": {"$gte": start, "$lt": end}}}]
        if question.metric == "users":
            stages.append({"$group": {"_id": key | {"user": "$userId"}}})
            stages.append({"$group": {"_id": {name: f"$_id.{name}" for name in key}, "n": {"$sum": 1}}})
        else:
            stages.append({"$group": {"_id": key, "n": {"$sum": 1 if question.metric == "events" else "$data.amount"}}})
        return stages + ([{"$sort": {"n": -1, "_id.name": 1}}, {"$limit": 10}] if question.is_top else [])

    def size(self):
        """Bytes of all collections and indexes, after a checkpoint."""
        self.database.client.admin.command("fsync")
        return int(self.database.command("dbStats")["totalSize"])


def at(milliseconds):
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)


def milliseconds(moment):
    return round(moment.timestamp() * 1000)


def measure(floor, question, log, runs):
    """Median time of some runs in seconds, and the numbers."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        numbers = floor.ask(question, log)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2], {key: value for key, value in numbers.items() if value}
