/// The buckets that a set of events touches.
struct BucketMarks {
    private struct Minute {
        var sums = GroupSums(hasQuarters: false)
        /// Whether every event that touched it is new, and counted here.
        var isWhole = true

        var table: GroupTable? { isWhole ? sums.table : nil }
    }

    private var marks: [BucketKey: Minute] = [:]
    private var otherHours: Set<BucketKey> = []

    init() {}

    var minutes: some Collection<BucketKey> { marks.keys }
    var hours: Set<BucketKey> { otherHours.union(minutes.map(\.hour)) }
    var days: Set<BucketKey> { Set(hours.map(\.dayOfHour)) }
    var isEmpty: Bool { marks.isEmpty && otherHours.isEmpty }

    /// Touches the minute in which the event's id is stored: its own, or that of the event that holds the id.
    ///
    /// Only an event that this very insert has stored brings a count: of any other it is not known whether it is counted already.
    mutating func touch(_ stored: StoredEvent, _ outcome: InsertOutcome) {
        let event = stored.event
        switch outcome {
        case .stored:
            let key = BucketKey(project: event.project, index: event.timestamp.minute)
            marks[key, default: Minute()].sums.add(
                type: event.type, source: event.source, quarters: SIMD4(1, 0, 0, 0), bots: SIMD4(stored.isBot ? 1 : 0, 0, 0, 0))
        case .duplicate(let heldAt), .conflict(let heldAt):
            touch(BucketKey(project: event.project, index: heldAt.minute))
        case .redelivered, .refused, .expired, .erased:
            touch(BucketKey(project: event.project, index: event.timestamp.minute))
        }
    }

    mutating func touch(_ minute: BucketKey) {
        marks[minute, default: Minute()].isWhole = false
    }

    /// An hour of which no minute is known.
    mutating func touch(hour: BucketKey) {
        otherHours.insert(hour)
    }

    /// Marks the minutes, then the hours, then the days, each durable before the next begins. A day's version is its generation.
    ///
    /// To be called after the events are stored and before their deliveries are acknowledged. The order is what makes rollups exact:
    /// - events before minutes: whoever reads a minute's version and then counts sees every event that the version stands for;
    /// - minutes before hours: whoever reads an hour's version and then finds no minute of it marked has every minute rolled;
    /// - hours before days: the same for a day, and whoever reads a generation and then computes sees every mark that it stands for.
    ///
    /// A crash in between means a redelivery, and so all of it again; marking twice is only a recount.
    func write(to store: any RollupStore) async throws(StoreError) {
        // Sorted: writers that touch the same buckets then meet in one order, and neighbours lie on the same pages.
        try await store.mark(.minute, minutes.sorted().map { BucketMark(key: $0, table: marks[$0]?.table) })
        try await store.mark(.hour, hours.sorted())
        try await store.mark(.day, days.sorted())
    }
}

/// Rounds down, below zero too.
func floorDivide(_ value: Int64, by divisor: Int64) -> Int64 {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
}
