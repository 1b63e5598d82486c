internal import Algorithms

/// The buckets that a set of events touches.
struct BucketMarks {
    fileprivate struct Minute {
        var sums = GroupSums(hasQuarters: false)
        /// Whether every event that touched it is new, and counted here.
        var isWhole = true
        var events: Int64 = 0
        var causes: BucketCauses = []
        /// Where the events lie that touched it; `nil` where that is not known of all.
        var parts: MinuteParts? = MinuteParts()

        var table: GroupTable? { isWhole ? sums.table : nil }
    }

    private var marks: [BucketKey: Minute] = [:]
    private var otherHours: Set<BucketKey> = []
    /// The last minute whose events are late now.
    private let lastLate: Int64

    /// Minutes that live traffic touches in one flush, at the most. What touches more of them is a backfill.
    private static let liveMinutes = 64
    /// Minutes of which a mark says in which parts they were touched, the newest: each is an update of its own.
    private static let minutesWithParts = 8
    /// Parts of a minute that a mark names.
    private static let partLimit = 64

    /// - Parameter now: By which events are late; `nil` where none is.
    init(at now: Timestamp? = nil) {
        lastLate = now.map { ($0 - BucketCauses.lateAfter).minute - 1 } ?? .min
    }

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
            marks[key, default: Minute()].add(stored, isLate: key.index <= lastLate)
        case .duplicate(let heldAt), .conflict(let heldAt):
            touch(BucketKey(project: event.project, index: heldAt.minute), causes: .duplicate, at: heldAt)
        case .redelivered, .refused, .expired:
            touch(BucketKey(project: event.project, index: event.timestamp.minute), causes: .redelivery, at: event.timestamp)
        case .erased:
            touch(BucketKey(project: event.project, index: event.timestamp.minute), causes: .erasure)
        }
    }

    /// - Parameter time: Where in the minute events may have changed; anywhere when `nil`.
    mutating func touch(_ minute: BucketKey, causes: BucketCauses = [], at time: Timestamp? = nil) {
        marks[minute, default: Minute()].isWhole = false
        marks[minute, default: Minute()].causes.formUnion(causes)
        if let time { marks[minute]?.parts?.insert(time) } else { marks[minute]?.parts = nil }
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
        let told = marks.count > Self.liveMinutes ? [] : Set(marks.keys.max(count: Self.minutesWithParts) { $0.index < $1.index })
        try await store.mark(.minute, minutes.sorted().map { mark($0, tellsParts: told.contains($0)) })
        try await store.mark(.hour, hours.sorted())
        try await store.mark(.day, days.sorted())
    }

    private func mark(_ key: BucketKey, tellsParts: Bool) -> BucketMark {
        guard let minute = marks[key] else { return BucketMark(key: key) }
        let parts = tellsParts ? minute.parts : nil
        return BucketMark(
            key: key, table: minute.table, events: minute.isWhole ? minute.events : nil, causes: minute.causes,
            parts: parts.flatMap { $0.count <= Self.partLimit ? $0 : nil })
    }
}

extension BucketMarks.Minute {
    fileprivate mutating func add(_ stored: StoredEvent, isLate: Bool) {
        sums.add(
            type: stored.event.type, source: stored.event.source, quarters: SIMD4(1, 0, 0, 0),
            bots: SIMD4(stored.isBot ? 1 : 0, 0, 0, 0))
        events += 1
        parts?.insert(stored.event.timestamp)
        if isLate { causes.insert(.late) }
    }
}

/// Rounds down, below zero too.
func floorDivide(_ value: Int64, by divisor: Int64) -> Int64 {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
}
