/// Keeps what whole days add to series, for as long as nothing in them changes: a series of hours over a month then reads the days that have
/// changed, and not 720 hours.
///
/// An entry is of a version of the day's bucket that was read before anything of the day was, so it holds at least every event that this
/// version stands for (docs/decisions/cache-generations.md).
actor DayTallies {
    private struct Key: Hashable {
        /// ``TimeseriesTally/keyOfDays``.
        var question: String
        var day: Int64
    }

    private struct Entry {
        var version: Int64
        /// `nil` where the day has more groups than are kept.
        var tally: TimeseriesTally?
        var size: Int
        var lastUse: UInt64
    }

    enum Found {
        case tally(TimeseriesTally)
        case tooLarge
        case unknown
    }

    private var entries: [Key: Entry] = [:]
    private var bytes = 0
    private var uses: UInt64 = 0

    /// Bytes of all entries, about; beyond, the half that was not used for longest goes.
    static let byteLimit = 16 << 20
    /// Bytes of one day.
    static let dayLimit = 1 << 20

    func find(_ question: String, day: Int64, version: Int64) -> Found {
        let key = Key(question: question, day: day)
        guard let entry = entries[key], entry.version == version else { return .unknown }
        uses += 1
        entries[key]?.lastUse = uses
        return entry.tally.map(Found.tally) ?? .tooLarge
    }

    func keep(_ tally: TimeseriesTally?, _ question: String, day: Int64, version: Int64) {
        let key = Key(question: question, day: day)
        let tally = tally.flatMap { $0.size <= Self.dayLimit ? $0 : nil }
        uses += 1
        let entry = Entry(version: version, tally: tally, size: (tally?.size ?? 0) + 256, lastUse: uses)
        bytes += entry.size - (entries.updateValue(entry, forKey: key)?.size ?? 0)
        guard bytes > Self.byteLimit else { return }
        for (key, entry) in entries.sorted(by: { $0.value.lastUse < $1.value.lastUse }).prefix((entries.count + 1) / 2) {
            entries[key] = nil
            bytes -= entry.size
        }
    }
}

extension RollupReader<TimeseriesTally> {
    /// As ``read(_:)``, with whole days that have to be read by hours from those that are kept.
    mutating func read(_ range: Range<Timestamp>, keeping days: DayTallies) async throws {
        var parts = RangeDecomposition(range, boundaries: reducer.boundaries)
        let whole = parts.takeDaysOfHours()
        try await read(parts)
        guard !whole.isEmpty else { return }
        let question = reducer.keyOfDays
        // Read before anything of the days. A day without a version has no event that was acknowledged.
        let versions = try await store.versions(.day, project: selection.project, in: whole)
        for (day, version) in versions.sorted(by: { $0.key < $1.key }) {
            let range = Timestamp(day: day)..<Timestamp(day: day + 1)
            switch await days.find(question, day: day, version: version) {
            case .tally(let tally): reducer.add(day: tally)
            case .tooLarge: try await read(RangeDecomposition(range, boundaries: reducer.boundaries))
            case .unknown:
                if let tally = try await tally(of: day, range) {
                    await days.keep(tally, question, day: day, version: version)
                    reducer.add(day: tally)
                } else {
                    await days.keep(nil, question, day: day, version: version)
                    try await read(RangeDecomposition(range, boundaries: reducer.boundaries))
                }
            }
            try reducer.check()
        }
    }

    /// `nil` where that takes more memory than the question itself may.
    private func tally(of day: Int64, _ range: Range<Timestamp>) async throws -> TimeseriesTally? {
        var reader = RollupReader(store, dirtyMinutes, selection, reducer.ofDay(day))
        do {
            try await reader.read(range)
        } catch let error as QueryTooLargeError where error.reason == .tooManyGroups {
            return nil
        }
        return reader.reducer
    }
}
