/// Keeps what whole days add to series, for as long as nothing in them changes: a series of hours over a month then reads the days that have
/// changed, and not 720 hours.
struct DayTallies: Sendable {
    private struct Key: Hashable {
        /// ``TimeseriesTally/keyOfDays``.
        var question: String
        var day: Int64
    }

    private let kept = VersionedCache<Key, TimeseriesTally>(byteLimit: Self.byteLimit)

    static let byteLimit = 16 << 20
    /// Bytes of one day.
    static let dayLimit = 1 << 20

    func find(_ question: String, day: Int64, version: Int64) async -> TimeseriesTally? {
        await kept.find(Key(question: question, day: day), version: version)
    }

    /// Whether so many days like this one are worth keeping: those that push each other out are never found again.
    static func mayKeep(_ tally: TimeseriesTally, days: Int) -> Bool { tally.size <= dayLimit && tally.size * days <= byteLimit / 2 }

    func keep(_ tally: TimeseriesTally, _ question: String, day: Int64, version: Int64) async {
        let tally = tally.bare
        await kept.keep(tally, size: tally.size, Key(question: question, day: day), version: version)
    }
}

extension RollupReader<TimeseriesTally> {
    /// Days that are read one by one for being kept.
    private static var daysToKeep: Int { 100 }

    /// As ``read(_:)``, with whole days that have to be read by hours from those that are kept.
    mutating func read(_ range: Range<Timestamp>, keeping kept: DayTallies) async throws {
        var parts = RangeDecomposition(range, boundaries: reducer.boundaries)
        let whole = parts.takeDaysOfHours()
        guard !whole.isEmpty else { return try await read(parts) }
        let question = reducer.keyOfDays
        // Read before anything of the days. A day without a version has no event that was acknowledged.
        let versions = try await store.versions(.day, project: selection.project, in: whole).sorted { $0.key < $1.key }
        var unknown: [(day: Int64, version: Int64)] = []
        for (day, version) in versions {
            guard let tally = await kept.find(question, day: day, version: version) else {
                unknown.append((day, version))
                continue
            }
            reducer.add(day: tally)
            try reducer.check()
        }
        var rest = unknown[...]
        while rest.count <= Self.daysToKeep, let (day, version) = rest.first, let tally = try await tally(of: day) {
            reducer.add(day: tally)
            try reducer.check()
            rest.removeFirst()
            guard DayTallies.mayKeep(tally, days: versions.count) else { break }
            await kept.keep(tally, question, day: day, version: version)
        }
        // Those that are not worth it, many at a time.
        parts.hours = (parts.hours + coalesce(rest.map(\.day)).scaled(by: RollupTier.day.parts)).sorted { $0.lowerBound < $1.lowerBound }
        try await read(parts)
    }

    /// `nil` where that takes more memory than a question may.
    private func tally(of day: Int64) async throws -> TimeseriesTally? {
        var reader = RollupReader(store, dirtyMinutes, keptDays, selection, reducer.ofDay(day))
        do {
            try await reader.read(Timestamp(day: day)..<Timestamp(day: day + 1))
        } catch let error as QueryTooLargeError where error.reason == .tooManyGroups {
            return nil
        }
        return reader.reducer
    }
}
