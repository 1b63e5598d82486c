public import AnalyticsCore

extension MongoStore {
    public func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        let ranges = Ranges.normalised(ranges.map { $0.lowerBound.milliseconds..<$0.upperBound.milliseconds })
        let isByReceipt = reducer.isByReceipt
        return try await run(.countEvents) { session throws(StoreError) in
            var plan = CountPlan(ranges)
            var minutes = WholeMinutes(reducer)
            let end = session.end(of: session.limits.wholeCount)
            while minutes.takesMore, let query = plan.next() {
                minutes.begin()
                do throws(StoreError) {
                    plan.answered(in: try session.count(selection, query, isByReceipt: isByReceipt, before: end) { minutes.add($0) })
                } catch {
                    // An election, a lost connection or a kill is temporary and not caused by the query, so the query is not halved.
                    guard error.code == .timedOut, ContinuousClock.now < end else { throw error }
                    guard plan.halve(query, from: minutes.fail()) else { throw session.tooMany(selection.project, in: query, to: "count") }
                }
            }
            return minutes.finish()
        }
    }

    public func extent(project: ProjectID) async throws(StoreError) -> Range<Timestamp>? {
        try await run(.extent) { session throws(StoreError) in
            var times: [Timestamp] = []
            for direction: Int64 in [1, -1] {
                let options: [(String, BSON)] = [
                    ("sort", ["timestamp": .integer(direction), "_id.id": .integer(direction)]), ("limit", 1),
                    ("hint", .string(Index.byTime)),
                    ("projection", ["timestamp": 1]),
                ]
                let possible: BSON = ["$gte": .date(.earliest), "$lte": .date(.latest)]
                try session.find(.events, [("_id.project", .string(project.name)), ("timestamp", possible)], options) { row in
                    if let time = row["timestamp"]?.date { times.append(time) }
                }
                for kind in [BucketKind.minute, .hour] {
                    if let index = try session.outermost(kind, project, direction) { times.append(kind.start(of: index)) }
                }
            }
            guard let first = times.min(), let last = times.max() else { return nil }
            return BucketKind.hour.start(of: first.hour)..<BucketKind.hour.start(of: last.hour + 1)
        }
    }

    public func projects() async throws(StoreError) -> [ProjectID] {
        try await run(.projects) { session throws(StoreError) in
            var seen: Set<ProjectID> = []
            for collection in [CollectionName.events, .minutes, .hours] { seen.formUnion(try session.projects(of: collection)) }
            return Array(seen)
        }
    }
}

extension Session {
    /// Passes the rows of one query to `add`. Returns the fraction of its time limit that it took.
    fileprivate func count(
        _ selection: Selection, _ query: CountPlan.Query, isByReceipt: Bool, before end: ContinuousClock.Instant,
        _ add: (EventCount) -> Bool
    ) throws(StoreError) -> Double {
        try checkCancelled()
        let start = ContinuousClock.now
        let limit = max(1, min(Int64(limits.countTime), Int64((end - start).seconds * 1000)))
        if query.count == 1, query[0].count >= CountPlan.long {
            try countOneByOne(selection, query[0], isByReceipt: isByReceipt, limit: Int32(limit), before: end, add)
        } else {
            let pipeline = Counting.pipeline(selection, query[...], isByReceipt: isByReceipt)
            try aggregateWhile(.events, pipeline, Counting.options(selection), limit: Int32(limit)) {
                row throws(StoreError) -> Bool in
                guard let group = row["_id"]?.document, let minute = group["m"]?.date, let type = group["t"]?.string,
                    let source = group["s"]?.string, let count = row["n"]?.integer, let bots = row["b"]?.integer
                else { throw damage(.events) }
                let received = group["r"]?.date?.day
                return add(EventCount(minute: minute.minute, type: type, source: source, count: count, bots: bots, received: received))
            }
        }
        return (ContinuousClock.now - start) / .milliseconds(limit)
    }

    /// The same over many minutes, without grouping on the server. Their groups have few events, and grouping and sorting take the
    /// server longer than reading the index (20,829 events in 18,589 groups, one client: 372 ms grouped, 138 to 174 ms read).
    private func countOneByOne(
        _ selection: Selection, _ range: Range<Int64>, isByReceipt: Bool, limit: Int32, before end: ContinuousClock.Instant,
        _ add: (EventCount) -> Bool
    ) throws(StoreError) {
        var tally = MinuteTally()
        var count = 0
        var takesMore = true
        let options = Counting.options(selection) + Counting.eventOptions(isByReceipt: isByReceipt)
        try findWhile(.events, Counting.match(selection, range), options, limit: limit) { row throws(StoreError) -> Bool in
            guard let time = row["timestamp"]?.date, let type = row["type"]?.string, let source = row["source"]?.string else {
                throw damage(.events)
            }
            let received = row["receivedAt"]?.date?.day
            count += 1
            // maxTimeMS bounds the server's time only.
            if count.isMultiple(of: 256), ContinuousClock.now >= end {
                throw StoreError(.timedOut, operation: operation, "not done by its deadline")
            }
            if let minute = tally.minute, minute != time.minute { takesMore = tally.take().allSatisfy(add) }
            if takesMore { tally.add(time.minute, type, source, received, isBot: row["context"]?.document?["bot"]?.boolean == true) }
            return takesMore
        }
        if takesMore { _ = tally.take().allSatisfy(add) }
    }

    func tooMany(_ project: ProjectID, in query: CountPlan.Query, to verb: String) -> StoreError {
        let start = query.first.map { Timestamp(milliseconds: $0.lowerBound).rfc3339 } ?? ""
        return StoreError(
            .timedOut, operation: operation,
            "the events of project \(project) in the one millisecond from \(start) take too long to \(verb)")
    }

    fileprivate func outermost(_ kind: BucketKind, _ project: ProjectID, _ direction: Int64) throws(StoreError) -> Int64? {
        var index: Int64?
        let all = Key.buckets(kind, project, kind.index(of: .earliest)..<kind.index(of: .latest) + 1)
        let options: [(String, BSON)] = [("sort", ["_id": .integer(direction)]), ("limit", 1), ("projection", ["_id": 1])]
        try find(kind.collection, [("_id", all)], options) { row in
            index = row["_id"]?.document.flatMap(kind.key)?.index
        }
        return index
    }
}

/// How events are counted.
enum Counting {
    /// Matches on the leading fields of ``Index/byTime`` and groups by its other fields, so no document is read, unless the selection
    /// uses a field outside that index.
    /// https://www.mongodb.com/docs/v6.0/core/query-optimization/#covered-query
    static func pipeline(_ selection: Selection, _ ranges: ArraySlice<Range<Int64>>, isByReceipt: Bool = false) -> [BSON] {
        let matches = ranges.map { BSON.document(match(selection, $0)) }
        let minute: BSON = ["$dateTrunc": ["date": "$timestamp", "unit": "minute"]]
        let isBot: BSON = ["$cond": [["$eq": ["$context.bot", true]], 1, 0]]
        var group: [(String, BSON)] = [("m", minute), ("t", "$type"), ("s", "$source")]
        if isByReceipt {
            // The day of anything but a date would be an error.
            let isDate: BSON = ["$eq": [["$type": "$receivedAt"], "date"]]
            let day: BSON = ["$dateTrunc": ["date": "$receivedAt", "unit": "day"]]
            group.append(("r", ["$cond": [isDate, day, .null]]))
        }
        return [
            ["$match": matches.count == 1 ? matches[0] : ["$or": .array(matches)]],
            ["$group": ["_id": .document(group), "n": ["$sum": 1], "b": ["$sum": isBot]]],
            // By minute, type and source, and day of receipt, in the comparison order of documents.
            ["$sort": ["_id": 1]],
        ]
    }

    static func match(_ selection: Selection, _ range: Range<Int64>) -> [(String, BSON)] {
        let nothing: [(String, BSON)] = [("_id", ["$in": []])]
        let times: BSON = [
            "$gte": .date(Timestamp(milliseconds: range.lowerBound)), "$lt": .date(Timestamp(milliseconds: range.upperBound)),
        ]
        return [("_id.project", .string(selection.project.name)), ("timestamp", times)]
            + (EventQuery.conditions(selection) ?? nothing)
    }

    /// The fields of each event that ``pipeline(_:_:isByReceipt:)`` groups by, in the order of the same index.
    static func eventOptions(isByReceipt: Bool) -> [(String, BSON)] {
        let fields: [(String, BSON)] = [("_id", 0), ("timestamp", 1), ("type", 1), ("source", 1), ("context.bot", 1)]
        return [
            ("sort", ["timestamp": 1, "_id.id": 1]), ("projection", .document(fields + (isByReceipt ? [("receivedAt", 1)] : []))),
        ]
    }

    /// Users and correlations have their own indexes; then the server chooses.
    static func options(_ selection: Selection) -> [(String, BSON)] {
        let isByTime = selection.userIds.isEmpty && selection.correlationIds.isEmpty
        return [("allowDiskUse", true)] + (isByTime ? [("hint", .string(Index.byTime))] : [])
    }
}

/// Counts the events of one minute at a time.
private struct MinuteTally {
    private struct Group: Hashable {
        var type: BytewiseString
        var source: BytewiseString
        var received: Int64?
    }

    private(set) var minute: Int64?
    private var counts: [Group: (events: Int64, bots: Int64)] = [:]

    mutating func add(_ minute: Int64, _ type: String, _ source: String, _ received: Int64?, isBot: Bool) {
        self.minute = minute
        let group = Group(type: BytewiseString(type), source: BytewiseString(source), received: received)
        counts[group, default: (0, 0)].events += 1
        if isBot { counts[group, default: (0, 0)].bots += 1 }
    }

    /// The rows of the minute, by type and source, in the server's order.
    mutating func take() -> [EventCount] {
        guard let minute else { return [] }
        defer {
            self.minute = nil
            counts.removeAll(keepingCapacity: true)
        }
        let sorted = counts.sorted { a, b in
            let types = BytewiseString.compare(a.key.type, b.key.type)
            if types != 0 { return types < 0 }
            return (a.key.source, a.key.received ?? .min) < (b.key.source, b.key.received ?? .min)
        }
        return sorted.map { group, sums in
            EventCount(
                minute: minute, type: group.type.text, source: group.source.text, count: sums.events, bots: sums.bots,
                received: group.received)
        }
    }
}
