extension RollupReader {
    /// A part of a minute, which only its events can tell.
    mutating func addEdge(_ edge: Range<Timestamp>) async throws {
        source.record?.add(events: [edge])
        let counted = try await count([edge], from: edge.lowerBound)
        // Read after the events: whatever was deleted before they were counted lies below it.
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

    /// Counts whole minutes from those of their events that are asked for. Minutes below the watermark as their rollups say, which were
    /// complete when it rose past them. Returns whether there were events.
    @discardableResult
    mutating func addEvents(of minutes: [Range<Int64>]) async throws -> Bool {
        guard !minutes.isEmpty else { return false }
        var (whole, first) = (minutes, Int64.min)
        var counted = CountedRows(reducer: reducer.emptied, start: nil)
        repeat {
            whole = whole.from(first)
            counted = try await count(whole.map(\.times))
            // Read after the events: whatever was deleted before they were counted lies below it.
            first = try await store.newestRecords(of: [selection.project]).first?.firstWholeMinute ?? .min
        } while whole.from(first) != whole
        reducer.merge(counted.reducer)
        // As they are now: what was read before may be older than the watermark.
        try await store.eachRollupPage(.minute, project: selection.project, in: minutes.before(first)) { page in
            for rollup in page where !add(rollup.table, .minute, rollup.key.index) {
                throw QueryTooLargeError(.uncounted(minute: Timestamp(minute: rollup.key.index)))
            }
        }
        return !counted.isEmpty
    }

    /// Counts everything from the events, for a selection that rollups do not tell. So none of the range may lie below the watermark.
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

    /// - Parameter start: The first moment of what is counted, where that is a part of a minute.
    private func count(_ ranges: [Range<Timestamp>], from start: Timestamp? = nil) async throws -> CountedRows<Reducer> {
        try await store.countEvents(selection, in: ranges, into: CountedRows(reducer: reducer.emptied, start: start))
    }
}

extension ProjectStore {
    /// Throws where events from a moment on may be deleted. To be called after they were read: whatever was deleted before lies below the
    /// watermark that this sees.
    ///
    /// - Parameter reading: What is read besides, before that moment.
    func checkUncut(_ project: ProjectID, from start: Timestamp, reading first: Timestamp? = nil) async throws {
        let record = try await newestRecords(of: [project]).first
        guard let record, let watermark = record.watermark, min(first ?? start, start).minute < record.firstWholeMinute else { return }
        throw ExpiredRangeError(
            reason: start.minute < record.firstWholeMinute ? .untoldSelection : .untoldBefore, watermark: watermark)
    }
}

/// Gives counted events to a question's reducer.
private struct CountedRows<Reducer: GroupReducer>: CountReducer {
    var reducer: Reducer
    let start: Timestamp?
    private(set) var isEmpty = true

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
