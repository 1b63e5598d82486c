/// Keeps the sums of whole days for time series while the days do not change. A series of hours over a month then reads the changed
/// days, not 720 hours.
struct DayTallies: Sendable {
    private struct Key: Hashable {
        /// ``TimeseriesTally/keyOfDays``.
        var question: String
        var day: Int64
    }

    private let kept = VersionedCache<Key, TimeseriesTally>(byteLimit: Self.byteLimit)

    static let byteLimit = 16 << 20
    /// Maximum bytes of one day.
    static let dayLimit = 1 << 20

    func find(_ question: String, day: Int64, version: Int64) async -> TimeseriesTally? {
        await kept.find(Key(question: question, day: day), version: version)
    }

    /// Whether this many days of this size fit: days that push each other out are never found again.
    static func mayKeep(_ tally: TimeseriesTally, days: Int) -> Bool { tally.size <= dayLimit && tally.size * days <= byteLimit / 2 }

    func keep(_ tally: TimeseriesTally, _ question: String, day: Int64, version: Int64) async {
        let tally = tally.bare
        await kept.keep(tally, size: tally.size, Key(question: question, day: day), version: version)
    }
}

extension RollupReader<TimeseriesTally> {
    /// Maximum number of days that are read one by one to be kept.
    private static var daysToKeep: Int { 100 }

    /// Like ``read(_:)``, but takes whole days from the kept ones instead of reading their hours.
    mutating func read(_ range: Range<Timestamp>, keeping kept: DayTallies) async throws {
        var parts = RangeDecomposition(range, boundaries: reducer.boundaries)
        let whole = parts.takeDaysOfHours()
        guard !whole.isEmpty else { return try await read(parts) }
        let question = reducer.keyOfDays
        // Read before any data of the days. A day without a version has no acknowledged event.
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
        // The other days are read together.
        parts.hours = (parts.hours + coalesce(rest.map(\.day)).scaled(by: RollupTier.day.parts)).sorted { $0.lowerBound < $1.lowerBound }
        try await read(parts)
    }

    /// `nil` if it takes more memory than a question may.
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
