/// What is asked about the events of a project: a value, which says what is to be read and how it is reduced to an answer.
///
/// ``QueryEngine`` does the rest. What a question reads from follows from its reducer's protocol.
protocol Question: Sendable {
    associatedtype Reducer: AnswerReducer
    associatedtype Codec: AnswerCodec<Reducer.Answer>
    typealias Answer = Reducer.Answer

    /// Tells its answers in the cache from those to other questions.
    static var name: String { get }

    var selection: Selection { get }

    /// All of it that is not in the selection.
    var keyParts: [String] { get }

    /// Whether a cached answer can be one to this question. The cache is not trusted.
    func accepts(_ answer: Answer) -> Bool

    /// One that has reduced nothing yet. Empty for a range that has no events.
    func reducer(over range: Range<Timestamp>) -> Reducer
}

extension Question {
    func accepts(_ answer: Answer) -> Bool { true }
}

/// Comes to an answer. Pure.
protocol AnswerReducer: Sendable {
    associatedtype Answer: Sendable

    /// Throws when more was given than can be held, or what cannot be true. Whoever reads asks after each piece.
    func check() throws

    func answer() throws -> Answer
}

/// Reduces how many events of which types and sources there are: ``RollupReader`` feeds it.
///
/// The same parts give the same answer, in any order and however they are cut.
protocol GroupReducer: AnswerReducer {
    /// One for the same question and range that has reduced nothing.
    var emptied: Self { get }

    mutating func merge(_ other: Self)

    /// Moments that divide the range, in ascending order. Nothing that is added lies on both sides of one, except an hour whose quarters do not.
    var boundaries: [Timestamp] { get }

    /// Adds what the question selects of a bucket's table. Adds nothing where the table cannot be read: its bucket is then read from what is
    /// finer.
    mutating func add(_ table: GroupTable, of bucket: BucketSpan) throws(GroupTable.Unreadable)

    /// Adds selected events of one type and source, which lie in one minute, at `start` or later. False when no more are wanted.
    mutating func add(_ row: EventCount, from start: Timestamp) -> Bool
}

extension GroupReducer {
    var boundaries: [Timestamp] { [] }
}

/// An answer as the cache keeps it.
protocol AnswerCodec<Answer> {
    associatedtype Answer

    /// Raised with every change of the format. It is part of the cache's keys too, so that processes of two versions do not read each
    /// other's values.
    static var format: Int64 { get }

    static func encode(_ answer: Answer) -> [UInt8]

    /// The cache is a wire: what ``encode(_:)`` cannot have written is refused.
    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Answer
}

/// Why a cached value is no answer.
enum AnswerFault: Error, Equatable {
    /// Written by another version.
    case unknownFormat
    case damaged
}
