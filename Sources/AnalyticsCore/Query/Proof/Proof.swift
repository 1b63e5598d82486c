internal import Foundation

/// The versions and ranges of an answer, so that it can be counted again later (docs/decisions/proof.md).
public struct Proof: Sendable, Equatable {
    /// Days with events that a proof does not list one by one.
    public struct EarlierDays: Sendable, Equatable {
        public var count = 0
        /// The sum of their versions; wraps.
        public var sum: Int64 = 0

        mutating func add(_ version: Int64) {
            count += 1
            sum &+= version
        }
    }

    public var project: ProjectID
    /// Route and query, with defaults filled in and parameters sorted by name.
    public var question: String
    /// The moment of the question.
    public var asOf: Timestamp
    /// SHA-256 of the answer.
    public var answer: String
    public var watermark: Timestamp?
    /// The digest of the identities that the answer was counted with; `nil` if it does not depend on them.
    public var identities: Int64?
    /// Release of the time zone data.
    public var zones: String?
    /// The ranges that were counted; several if the question compares ranges.
    public var ranges: [Range<Timestamp>]
    /// Days with events, in ascending order; only the newest if there are too many.
    public var days: [ProofDay]
    public var earlier = EarlierDays()

    /// Maximum bytes of a proof's text.
    public static let byteLimit = 256 << 10
    /// Maximum bytes of a question in a proof.
    public static let questionLimit = 16 << 10
}

/// The version of a day, and the versions of its minutes.
public struct ProofDay: Sendable, Equatable {
    public var day: Int64
    public var version: Int64
    /// One version per minute, 0 without events; `nil` if the proof would be too large.
    public var minutes: [Int64]?

    public init(day: Int64, version: Int64, minutes: [Int64]? = nil) {
        self.day = day
        self.version = version
        self.minutes = minutes
    }

    static func empty(_ day: Int64) -> ProofDay {
        ProofDay(day: day, version: 0, minutes: Array(repeating: 0, count: SegmentHead.minutesInDay))
    }

    /// Each version; a run of zeros is one zero and the number of zeros that follow it.
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

    /// `nil` unless the bytes hold a whole day.
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
    /// The proof of an answer that was computed with this record.
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
