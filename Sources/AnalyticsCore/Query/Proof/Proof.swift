internal import Foundation

/// What an answer stands on, so that it can be counted again later (docs/decisions/proof.md).
public struct Proof: Sendable, Equatable {
    /// Days with events that a proof does not list one by one.
    public struct EarlierDays: Sendable, Equatable {
        public var count = 0
        /// Of their versions; wraps.
        public var sum: Int64 = 0

        mutating func add(_ version: Int64) {
            count += 1
            sum &+= version
        }
    }

    public var project: ProjectID
    /// Route and query, with what the request left open filled in; the parameters in the order of their names.
    public var question: String
    /// The moment of the question.
    public var asOf: Timestamp
    /// SHA-256 of the answer.
    public var answer: String
    public var watermark: Timestamp?
    /// Of the map of users that the answer was counted with; `nil` where users do not matter.
    public var identities: Int64?
    /// Release of the time zone data.
    public var zones: String?
    /// What was counted over; more than one where ranges are compared.
    public var ranges: [Range<Timestamp>]
    /// Days with events, rising; the newest ones where there are too many.
    public var days: [ProofDay]
    public var earlier = EarlierDays()

    /// Bytes of a proof's text.
    public static let byteLimit = 256 << 10
    /// Bytes of a question that can be proved.
    public static let questionLimit = 16 << 10
}

/// A day's version, and those of its minutes.
public struct ProofDay: Sendable, Equatable {
    public var day: Int64
    public var version: Int64
    /// One for each minute, 0 where it has no events; `nil` where a proof would be too large with them.
    public var minutes: [Int64]?

    public init(day: Int64, version: Int64, minutes: [Int64]? = nil) {
        self.day = day
        self.version = version
        self.minutes = minutes
    }

    /// One without events.
    static func empty(_ day: Int64) -> ProofDay {
        ProofDay(day: day, version: 0, minutes: Array(repeating: 0, count: SegmentHead.minutesInDay))
    }

    /// Each version, of zeros the number of them behind the first.
    static func encoded(_ minutes: [Int64]) -> [UInt8] {
        var writer = TableWriter()
        var rest = minutes[...]
        while let version = rest.popFirst() {
            writer.number(version)
            guard version == 0 else { continue }
            let zeros = rest.prefix { $0 == 0 }.count
            writer.number(Int64(zeros))
            rest = rest.dropFirst(zeros)
        }
        return writer.bytes
    }

    /// `nil` unless the bytes are a whole day.
    static func minutes(encoded bytes: [UInt8]) -> [Int64]? {
        try? bytes.withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            var minutes: [Int64] = []
            while !cursor.isAtEnd {
                minutes.append(try cursor.number())
                if minutes[minutes.count - 1] == 0 {
                    let zeros = try cursor.number()
                    guard zeros < Int64(SegmentHead.minutesInDay) else { throw .damaged }
                    minutes += repeatElement(0, count: Int(zeros))
                }
                guard minutes.count <= SegmentHead.minutesInDay else { throw .damaged }
            }
            guard minutes.count == SegmentHead.minutesInDay else { throw .damaged }
            return minutes
        }
    }

    var encodedMinutes: String? { minutes.map { Data(Self.encoded($0)).base64EncodedString() } }
}

extension Proof {
    /// Of an answer that was computed with this record.
    public init(
        of question: String, project: ProjectID, asOf: Timestamp, answer: String, watermark: Timestamp?, zones: String?,
        _ record: ReadingRecord
    ) {
        let state = record.state
        self.init(
            project: project, question: question, asOf: asOf, answer: answer, watermark: watermark, identities: state.identities,
            zones: zones, ranges: state.ranges, days: state.days.values.sorted { $0.day < $1.day }, earlier: state.earlier)
    }
}
