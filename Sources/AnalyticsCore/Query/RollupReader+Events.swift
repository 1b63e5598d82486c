extension RollupReader {
    /// Adds a part of a minute, which only its events can answer.
    mutating func addEdge(_ edge: Range<Timestamp>) async throws {
        source.record?.add(events: [edge])
        let counted = try await count([edge], from: edge.lowerBound)
        // Read after the events: anything deleted before the count lies below this watermark.
        let record = try await store.newestRecords(of: [selection.project]).first
        let minute = edge.lowerBound.minute
        guard let record, let watermark = record.watermark, minute < record.firstWholeMinute else { return reducer.merge(counted.reducer) }
        let page = try await store.rollups(
            .minute, project: selection.project, in: [minute..<minute + 1], byteLimit: RollupPage.byteLimit)
        guard page.rollups.allSatisfy({ $0.table.size == 0 }) else { throw ExpiredRangeError(reason: .cutMinute, watermark: watermark) }
    }

    /// Counts whole minutes from their events alone.
    mutating func recount(_ minutes: [Range<Int64>]) async throws {
        var rest = minutes[...]
        var step = Self.minutesAtATime
        while let slice = rest.popSlice(length: step) {
            let hasEvents = try await addEvents(of: slice)
            try reducer.check()
            step = hasEvents ? Self.minutesAtATime : min(step * 2, Self.longestStep * 1_440)
        }
    }

    /// Counts whole minutes from their selected events. Minutes below the watermark come from their rollups, which were complete when
    /// the watermark passed them. Returns whether there were events.
    @discardableResult
    mutating func addEvents(of minutes: [Range<Int64>]) async throws -> Bool {
        guard !minutes.isEmpty else { return false }
        var (whole, first) = (minutes, Int64.min)
        var counted = CountedRows(reducer: reducer.emptied, start: nil)
        repeat {
            whole = whole.from(first)
            counted = try await count(whole.map(\.times))
            // Read after the events: anything deleted before the count lies below this watermark.
            first = try await store.newestRecords(of: [selection.project]).first?.firstWholeMinute ?? .min
        } while whole.from(first) != whole
        reducer.merge(counted.reducer)
        // Read again: earlier reads may be older than the watermark.
        let content = Self.readsGroups ? BucketContent.groups : .all
        try await store.eachRollupPage(.minute, project: selection.project, in: minutes.before(first), content: content) { page in
            for rollup in page where !add(rollup, .minute) {
                let minute = rollup.key.index
                // Without a table of receipt and groups, the history may still know how many events the minute had.
                var known: [BucketHistory] = []
                if !Self.readsGroups { known = try await store.histories(project: selection.project, minutes: [minute..<minute + 1]) }
                guard let events = known.first?.events else { throw QueryTooLargeError(.uncounted(minute: Timestamp(minute: minute))) }
                _ = reducer.add(EventCount(minute: minute, type: "", source: "", count: events), from: Timestamp(minute: minute))
            }
        }
        return !counted.isEmpty
    }

    /// Counts from the events alone, for a selection that rollups cannot answer. No part of the range may lie below the watermark.
    mutating func addEvents(of parts: RangeDecomposition, from start: Timestamp) async throws {
        source.record?.add(events: parts.wholeMinutes.map(\.times) + parts.edges)
        var rest = parts.wholeMinutes[...]
        var step = Self.minutesAtATime
        while let slice = rest.popSlice(length: step) {
            let counted = try await count(slice.map(\.times))
            reducer.merge(counted.reducer)
            try reducer.check()
            step = counted.isEmpty ? min(step * 2, Self.longestStep * 1_440) : Self.minutesAtATime
        }
        for edge in parts.edges { reducer.merge(try await count([edge], from: edge.lowerBound).reducer) }
        try reducer.check()
        try await store.checkUncut(selection.project, from: start)
    }

    /// - Parameter start: The first moment counted, if that is within a minute.
    private func count(_ ranges: [Range<Timestamp>], from start: Timestamp? = nil) async throws -> CountedRows<Reducer> {
        try await store.countEvents(selection, in: ranges, into: CountedRows(reducer: reducer.emptied, start: start))
    }
}

extension ProjectStore {
    /// Throws if events from `start` on may have been deleted. Call it after reading them: anything deleted before then lies below
    /// the watermark that this reads.
    ///
    /// - Parameter reading: The start of what is also read, before `start`.
    func checkUncut(_ project: ProjectID, from start: Timestamp, reading first: Timestamp? = nil) async throws {
        let record = try await newestRecords(of: [project]).first
        guard let record, let watermark = record.watermark, min(first ?? start, start).minute < record.firstWholeMinute else { return }
        throw ExpiredRangeError(
            reason: start.minute < record.firstWholeMinute ? .untoldSelection : .untoldBefore, watermark: watermark)
    }
}

/// Passes counted events to a question's reducer.
private struct CountedRows<Reducer: GroupReducer>: CountReducer {
    var reducer: Reducer
    let start: Timestamp?
    private(set) var isEmpty = true

    var isByReceipt: Bool { !RollupReader<Reducer>.readsGroups }

    init(reducer: Reducer, start: Timestamp?) {
        self.reducer = reducer
        self.start = start
    }

    mutating func add(_ row: EventCount) -> Bool {
        isEmpty = false
        return reducer.add(row, from: start ?? Timestamp(minute: row.minute))
    }

    mutating func finish() {}
}
