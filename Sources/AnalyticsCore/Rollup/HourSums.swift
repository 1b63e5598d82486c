/// Sums hours from their minutes, reading a page of them at a time.
struct HourSums {
    enum Hour: Equatable {
        /// A minute of it is marked: its sum is not known yet.
        case marked
        case table(GroupTable)
    }

    private var hour: Int64?
    private var sums = GroupSums(hasQuarters: true)
    private var isMarked = false

    /// Gives each hour that has minutes, in their order.
    static func each(
        of project: String, in hours: [Range<Int64>], from store: any RollupStore, _ body: (Int64, Hour) async throws -> Void
    ) async throws {
        var state = HourSums()
        let minutes = hours.map { $0.lowerBound * 60..<$0.upperBound * 60 }
        try await store.eachRollupPage(.minute, project: project, in: minutes) { page in
            for minute in page {
                if let done = state.add(minute) { try await body(done.0, done.1) }
            }
        }
        if let done = state.close() { try await body(done.0, done.1) }
    }

    /// Of minutes that are all there.
    static func sum(_ minutes: [Rollup]) -> Hour {
        var state = HourSums()
        for minute in minutes { _ = state.add(minute) }
        return state.close()?.1 ?? .table(.empty)
    }

    /// Returns the hour before, when the minute is the first of another one.
    private mutating func add(_ minute: Rollup) -> (Int64, Hour)? {
        let own = minute.key.hour.index
        let done = own == hour ? nil : close()
        hour = own
        isMarked = isMarked || minute.dirty
        if !isMarked { sums.add(minute.table, quarter: Int(minute.key.index - own * 60) / 15) }
        return done
    }

    private mutating func close() -> (Int64, Hour)? {
        guard let hour else { return nil }
        defer { self = HourSums() }
        return (hour, isMarked ? .marked : .table(sums.table))
    }
}
