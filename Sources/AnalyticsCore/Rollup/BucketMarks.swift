internal import Algorithms

/// The buckets that a set of events touches.
struct BucketMarks {
    fileprivate struct Minute {
        var sums = GroupSums(hasQuarters: false)
        var received = ReceivedSums()
        /// Whether every event that touched the minute is new, and counted here.
        var isWhole = true
        var events: Int64 = 0
        var causes: BucketCauses = []
        /// The parts of the events that touched the minute; `nil` if not all are known.
        var parts: MinuteParts? = MinuteParts()

        var table: GroupTable? { isWhole ? sums.table : nil }
    }

    private var marks: [BucketKey: Minute] = [:]
    private var otherHours: Set<BucketKey> = []
    /// The latest minute whose events are late.
    private let lastLate: Int64

    /// Maximum number of minutes that live traffic touches in one flush. More are a backfill.
    private static let liveMinutes = 64
    /// The newest minutes of a flush, whose marks have parts; each is an update of its own.
    private static let minutesWithParts = 8
    /// Maximum number of parts of a minute in a mark.
    private static let partLimit = 64

    /// - Parameter now: Decides which events are late; with `nil`, none is.
    init(at now: Timestamp? = nil) {
        lastLate = now.map { ($0 - BucketCauses.lateAfter).minute - 1 } ?? .min
    }

    var minutes: some Collection<BucketKey> { marks.keys }
    var hours: Set<BucketKey> { otherHours.union(minutes.map(\.hour)) }
    var days: Set<BucketKey> { Set(hours.map(\.dayOfHour)) }
    var isEmpty: Bool { marks.isEmpty && otherHours.isEmpty }

    /// Touches the minute in which the event's id is stored: that of the event, or of the event that holds the id.
    ///
    /// Only an event that this insert has stored adds to the count; any other may be counted already.
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

    /// - Parameter time: Where in the minute events may have changed; `nil` for anywhere.
    mutating func touch(_ minute: BucketKey, causes: BucketCauses = [], at time: Timestamp? = nil) {
        marks[minute, default: Minute()].isWhole = false
        marks[minute, default: Minute()].causes.formUnion(causes)
        if let time { marks[minute]?.parts?.insert(time) } else { marks[minute]?.parts = nil }
    }

    /// Touches an hour without known minutes.
    mutating func touch(hour: BucketKey) {
        otherHours.insert(hour)
    }

    /// Marks the minutes, then the hours, then the days; each is durable before the next can be seen. A day's version is its generation.
    ///
    /// Call it after the events are stored and before their deliveries are acknowledged. The order makes rollups exact:
    /// - events before minutes: a reader that reads a minute's version and then counts sees every event of that version;
    /// - minutes before hours: a reader that reads an hour's version and then finds no marked minute in it has all minutes rolled;
    /// - hours before days: the same for a day; and a reader that reads a generation and then computes sees every mark of that generation.
    ///
    /// A crash in between causes a redelivery, which marks everything again; marking twice only causes a recount.
    func write(to store: any RollupStore) async throws(StoreError) {
        // Sorted: concurrent writers then touch shared buckets in the same order, and neighbours lie on the same pages.
        let told = marks.count > Self.liveMinutes ? [] : Set(marks.keys.max(count: Self.minutesWithParts) { $0.index < $1.index })
        try await store.mark([
            TierMarks(.minute, minutes.sorted().map { mark($0, tellsParts: told.contains($0)) }),
            TierMarks(.hour, hours.sorted().map { BucketMark(key: $0) }),
            TierMarks(.day, days.sorted().map { BucketMark(key: $0) }),
        ])
    }

    private func mark(_ key: BucketKey, tellsParts: Bool) -> BucketMark {
        guard let minute = marks[key] else { return BucketMark(key: key) }
        let parts = tellsParts ? minute.parts : nil
        return BucketMark(
            key: key, table: minute.table, received: minute.isWhole ? minute.received.table : nil,
            events: minute.isWhole ? minute.events : nil, causes: minute.causes,
            parts: parts.flatMap { $0.count <= Self.partLimit ? $0 : nil })
    }
}

extension BucketMarks.Minute {
    fileprivate mutating func add(_ stored: StoredEvent, isLate: Bool) {
        sums.add(
            type: stored.event.type, source: stored.event.source, quarters: SIMD4(1, 0, 0, 0),
            bots: SIMD4(stored.isBot ? 1 : 0, 0, 0, 0))
        received.add(1, on: stored.event.receivedAt.day)
        events += 1
        parts?.insert(stored.event.timestamp)
        if isLate { causes.insert(.late) }
    }
}

/// Rounds down, also below zero.
func floorDivide(_ value: Int64, by divisor: Int64) -> Int64 {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
}
