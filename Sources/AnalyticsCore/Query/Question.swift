/// An analytics query on the events of a project: a value that says what to read and how to reduce it to an answer.
///
/// ``QueryEngine`` does the reading. The protocol of its reducer decides which data a question reads.
protocol Question: Sendable {
    associatedtype Reducer: AnswerReducer
    associatedtype Codec: AnswerCodec<Reducer.Answer>
    typealias Answer = Reducer.Answer

    /// Distinguishes its answers in the cache from those of other questions.
    static var name: String { get }

    var selection: Selection { get }

    /// Every parameter that is not in the selection.
    var keyParts: [String] { get }

    /// Whether a cached value is a valid answer to this question. The cache is not trusted.
    func accepts(_ answer: Answer) -> Bool

    /// A reducer without data. The range is empty if there are no events.
    func reducer(over range: Range<Timestamp>) -> Reducer
}

extension Question {
    func accepts(_ answer: Answer) -> Bool { true }
}

/// Reduces data to an answer. Pure.
protocol AnswerReducer: Sendable {
    associatedtype Answer: Sendable

    /// Throws when the data exceeds the limits, or is impossible. The reader calls it after each piece.
    func check() throws

    func answer() throws -> Answer
}

/// Reduces counts of events, which ``RollupReader`` reads.
///
/// The answer does not depend on the order of the data, or on how it is divided.
protocol GroupReducer: AnswerReducer {
    /// The tables that it reads. For ``BucketContent/received``, events are counted by the day of their receipt too.
    static var content: BucketContent { get }

    /// A reducer for the same question and range, without data.
    var emptied: Self { get }

    mutating func merge(_ other: Self)

    /// Moments that divide the range, in ascending order. No added bucket spans a boundary, except an hour; each of its quarters lies
    /// on one side.
    var boundaries: [Timestamp] { get }

    /// Adds the selected groups of a bucket's table. Adds nothing if the table cannot be read: its bucket is then read from finer buckets.
    mutating func add(_ table: GroupTable, of bucket: BucketSpan) throws(GroupTable.Unreadable)

    /// Adds what it reads of a bucket. Adds nothing if that cannot be read.
    mutating func add(_ rollup: Rollup, of bucket: BucketSpan) throws(GroupTable.Unreadable)

    /// Adds selected events of one type and source that lie in one minute, at `start` or later. False when no more are wanted.
    mutating func add(_ row: EventCount, from start: Timestamp) -> Bool
}

extension GroupReducer {
    static var content: BucketContent { .groups }

    var boundaries: [Timestamp] { [] }

    mutating func add(_ rollup: Rollup, of bucket: BucketSpan) throws(GroupTable.Unreadable) { try add(rollup.table, of: bucket) }
}

/// The format of an answer in the cache.
protocol AnswerCodec<Answer> {
    associatedtype Answer

    /// Raised with every change of the format. It is part of the cache keys, so processes of two versions do not read each other's values.
    static var format: Int64 { get }

    static func encode(_ answer: Answer) -> [UInt8]

    /// The cache is untrusted input: bytes that ``encode(_:)`` cannot have written are refused.
    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Answer
}

/// Why a cached value is not an answer.
enum AnswerFault: Error, Equatable {
    /// Written by another version.
    case unknownFormat
    case damaged
}
