/// The number of events accepted in a minute, and their outcomes.
public struct PipelineCounts: Sendable, Equatable {
    /// Confirmed by the broker.
    public var accepted: Int64 = 0
    /// Not confirmed: the clients were told to send them again. Some may have arrived nevertheless.
    public var unconfirmed: Int64 = 0
    public var rejected: [RejectionCode: Int64] = [:]
    /// Time of receipt of the first accepted event.
    public var first: Timestamp?
    /// Accepted events per ten seconds.
    public var tens = Self.noTens

    public static let slots = 6
    private static let noTens = [Int64](repeating: 0, count: slots)
    static let slot = Duration.seconds(10)

    /// The slot of a time within its minute.
    static func slot(of time: Timestamp) -> Int { Int((time - Timestamp(minute: time.minute)).milliseconds / slot.milliseconds) }

    public var stored: Int64 = 0
    /// The id was taken by an event with the same content.
    public var duplicates: Int64 = 0
    public var deadLettered: Int64 = 0
    /// Erased before they arrived.
    public var erased: Int64 = 0
    /// Settled on a redelivery: it is unknown whether an earlier delivery has counted them.
    public var redelivered: Int64 = 0
    /// Time of receipt of the last settled event.
    public var through: Timestamp?

    public init() {}

    /// Outcomes that are known to be counted once.
    public var settled: Int64 { stored + duplicates + deadLettered + erased }

    /// Adds or subtracts all counts; `first` and `through` are only widened. No count falls below 0.
    mutating func add(_ other: PipelineCounts, times sign: Int64 = 1) {
        for path in Self.numbers.map(\.path) { self[keyPath: path] = max(0, self[keyPath: path] + sign * other[keyPath: path]) }
        for (code, count) in other.rejected { rejected[code] = max(0, rejected[code, default: 0] + sign * count) }
        for slot in tens.indices { tens[slot] = max(0, tens[slot] + sign * other.tens[slot]) }
        first = [first, other.first].compactMap(\.self).min()
        through = [through, other.through].compactMap(\.self).max()
    }
}

// MARK: - Stored form

extension PipelineCounts {
    private static var numbers: [(name: String, path: WritableKeyPath<PipelineCounts, Int64>)] {
        [
            ("accepted", \.accepted), ("unconfirmed", \.unconfirmed), ("stored", \.stored), ("duplicates", \.duplicates),
            ("deadLettered", \.deadLettered), ("erased", \.erased), ("redelivered", \.redelivered),
        ]
    }

    private static var moments: [(name: String, path: WritableKeyPath<PipelineCounts, Timestamp?>)] {
        [("first", \.first), ("through", \.through)]
    }

    private static let rejection = "rejected_"
    private static let ten = "accepted_"
    /// More events than a process can accept within a minute, and few enough that the sums of a day's cells do not overflow.
    private static let maximum: Int64 = 1 << 40

    /// Names and values, without zeros.
    public var fields: [(name: String, value: Int64)] {
        var fields: [(name: String, value: Int64)] = []
        for (name, path) in Self.numbers { fields.append((name, self[keyPath: path])) }
        for (slot, count) in tens.enumerated() { fields.append((Self.ten + String(slot), count)) }
        for (code, count) in rejected { fields.append((Self.rejection + code.rawValue, count)) }
        fields.removeAll { $0.value == 0 }
        for (name, path) in Self.moments {
            if let time = self[keyPath: path] { fields.append((name, time.milliseconds)) }
        }
        return fields
    }

    /// `nil` if a value is out of range. Unknown names are ignored.
    public init?(fields: [(name: String, value: Int64)]) {
        for (name, value) in fields {
            if let number = Self.numbers.first(where: { $0.name.equalsUTF8(name) }) {
                guard (0...Self.maximum).contains(value) else { return nil }
                self[keyPath: number.path] = value
            } else if let moment = Self.moments.first(where: { $0.name.equalsUTF8(name) }) {
                let time = Timestamp(milliseconds: value)
                guard time.isValid else { return nil }
                self[keyPath: moment.path] = time
            } else if name.starts(withUTF8: Self.ten), let slot = Int(name.trimmingUTF8(first: Self.ten.utf8.count)),
                tens.indices.contains(slot)
            {
                guard (0...Self.maximum).contains(value) else { return nil }
                tens[slot] = value
            } else if name.starts(withUTF8: Self.rejection),
                let code = RejectionCode(rawValue: name.trimmingUTF8(first: Self.rejection.utf8.count))
            {
                guard (0...Self.maximum).contains(value) else { return nil }
                rejected[code] = value
            }
        }
    }
}
