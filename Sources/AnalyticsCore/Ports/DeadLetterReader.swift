/// Reads dead letters without removing them.
public protocol DeadLetterReader: Sendable {
    /// The oldest dead letters after `position`, or the oldest of all.
    ///
    /// Afterwards the letters, their number and their order are as before. Letters published meanwhile may or may not be in the page. Only
    /// one reader runs at a time across processes: others wait, and throw ``BrokerError/Code/owned`` after the adapter's timeout.
    func deadLetters(after position: DeadLetterPosition?, limit: DeadLetterLimit) async throws(BrokerError) -> DeadLetterPage
}

/// The end of a page. The text is defined by the adapter and valid for the same queue only.
public struct DeadLetterPosition: Sendable, Equatable {
    public var text: String

    public init(text: String) {
        self.text = text
    }
}

/// Limits of one page.
public struct DeadLetterLimit: Sendable, Equatable {
    public static let maximumLetters = 500
    public static let maximumBytes = 64 << 20

    public let letters: Int
    /// Bytes of all bodies together.
    public let bytes: Int

    /// Both are clamped to 1...maximum.
    public init(letters: Int = 100, bytes: Int = 8 << 20) {
        self.letters = min(max(1, letters), Self.maximumLetters)
        self.bytes = min(max(1, bytes), Self.maximumBytes)
    }
}

public struct DeadLetterPage: Sendable, Equatable {
    public var letters: [QueuedDeadLetter] = []
    /// Whether there were more after these.
    public var hasMore = false
    /// Start of the next page; `nil` at the end, and always if the broker has no positions.
    public var next: DeadLetterPosition?
}

/// A message of the dead-letter queue, and its decoded content.
public struct QueuedDeadLetter: Sendable, Equatable {
    /// Empty when `size` is more than a whole page may hold.
    public var body: [UInt8]
    public var size: Int
    public var content: Result<DeadLetter, DeadLetterError>
}

/// Fills a page in queue order. Does no I/O.
public struct DeadLetterPageBuilder: Sendable {
    public enum Room: Sendable {
        case body
        /// The letter is larger than a whole page: only its size is listed.
        case sizeOnly
        /// The page ends before this letter.
        case none
    }

    private let limit: DeadLetterLimit
    private var letters: [(body: [UInt8], size: Int)] = []
    private var bytes = 0

    public init(_ limit: DeadLetterLimit) {
        self.limit = limit
    }

    public var count: Int { letters.count }

    public func room(for size: Int) -> Room {
        guard letters.count < limit.letters else { return .none }
        guard size <= limit.bytes else { return .sizeOnly }
        return bytes + size <= limit.bytes ? .body : .none
    }

    public mutating func append(_ body: [UInt8]) {
        letters.append((body, body.count))
        bytes += body.count
    }

    public mutating func append(sizeOnly size: Int) {
        letters.append(([], size))
    }

    /// Decodes the letters.
    public func page(hasMore: Bool, next: DeadLetterPosition? = nil) -> DeadLetterPage {
        let decoder = DeadLetterDecoder()
        let letters = letters.map { body, size in
            guard size == body.count else {
                return QueuedDeadLetter(
                    body: body, size: size,
                    content: .failure(DeadLetterError("\(size) bytes are more than the \(limit.bytes) that are read at a time")))
            }
            return QueuedDeadLetter(
                body: body, size: size, content: Result { () throws(DeadLetterError) in try decoder.decode(body) })
        }
        return DeadLetterPage(letters: letters, hasMore: hasMore, next: hasMore ? next : nil)
    }
}
