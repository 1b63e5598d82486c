/// Deletes events, and makes counts and segments match the remaining events.
///
/// Delete, discard, mark, in this order (docs/decisions/erasure.md). Each step is durable before the next begins. After an interruption,
/// all of it must be repeated.
struct EventRemoval: Sendable {
    let store: any ErasureStore & RollupStore & SegmentStore & ProjectStore

    /// Deletes and marks. Does not discard the segments of the days (``discard(_:days:at:)``).
    func remove(_ events: [Event]) async throws(StoreError) -> Int {
        guard !events.isEmpty else { return 0 }
        let count = try await store.remove(events)
        try await mark(events.map { BucketKey(project: $0.project, index: $0.timestamp.minute) })
        return count
    }

    /// Marks minutes, except those below the watermark, which keep their counts.
    func mark(_ minutes: [BucketKey]) async throws(StoreError) {
        let records = ProjectRecords(try await store.newestRecords(of: Array(Set(minutes.map(\.project)))))
        var marks = BucketMarks()
        for minute in minutes where minute.index >= records.firstWholeMinute(of: minute.project) { marks.touch(minute, causes: .erasure) }
        if !marks.isEmpty { try await marks.write(to: store) }
    }

    /// Marks the stored minutes of a range: some of their events may be deleted.
    func mark(_ project: ProjectID, minutesOf range: Range<Timestamp>) async throws(StoreError) {
        let last = Timestamp(milliseconds: range.upperBound.milliseconds - 1).minute
        var rest = [range.lowerBound.minute..<last + 1]
        while !rest.isEmpty {
            let page = try await store.rollups(.minute, project: project, in: rest, byteLimit: RollupPage.byteLimit)
            try await mark(page.rollups.map(\.key))
            rest = page.next.map(rest.from) ?? []
        }
    }

    /// To be called after the deletion. Marks the days again so that builders see work.
    func discard(_ project: ProjectID, days: some Collection<Int64>, at now: Timestamp) async throws(StoreError) {
        for day in days.sorted() { try await SegmentDiscard(store: store)(project, day: day, at: now) }
        try await store.mark(.day, days.sorted().map { BucketKey(project: project, index: $0) })
    }
}
