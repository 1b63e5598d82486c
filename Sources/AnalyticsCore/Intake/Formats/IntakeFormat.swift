public import AnalyticsJSON

/// A format in which clients send events: where the items of a body are, and what events each of them makes. Pure.
///
/// A value is made for one request: what a format needs of the query and the headers, it is made with. It never names a project;
/// authentication decides that. `docs/decisions/intake-formats.md` tells how to add one.
public protocol IntakeFormat: Sendable {
    /// What the body says once for all of its items, beside the time at which it was sent.
    associatedtype Shared: Sendable = Void

    /// Step 1: finds the items of a body without parsing them, so that one broken item does not take the others with it.
    ///
    /// Throws when the body is not this format at all; then nothing of it is taken.
    /// - Parameter limit: The most items that a request may have. ``IntakeItems`` keeps to it.
    func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<Shared>

    /// Step 2: appends the events that an item makes: one, several or none. Defaults, such as a source, are filled in here.
    ///
    /// Throws when the item makes no event; what it has appended is dropped. A rejection may name the item's id.
    func draft(
        _ item: Range<Int>, of batch: IntakeBatch<Shared>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection)
}

/// A body, split into its items.
public struct IntakeBatch<Shared: Sendable>: Sendable {
    /// What the items are places in: the body, or what the body was unwrapped to.
    public var text: PaddedBytes
    /// Where each item stands, in order. An item may have as many bytes as an event.
    public var items: [Range<Int>]
    /// When the sender sent it, by the sender's clock: corrects the times of its events.
    public var sentAt: Timestamp?
    /// The id of the only item, where it stands outside of the item's text. An item that is too large to be read is refused under it.
    public var id: String?
    public var shared: Shared

    public init(text: PaddedBytes, items: [Range<Int>], sentAt: Timestamp? = nil, id: String? = nil, shared: Shared) {
        self.text = text
        self.items = items
        self.sentAt = sentAt
        self.id = id
        self.shared = shared
    }
}

extension IntakeBatch where Shared == Void {
    public init(text: PaddedBytes, items: [Range<Int>], sentAt: Timestamp? = nil, id: String? = nil) {
        self.init(text: text, items: items, sentAt: sentAt, id: id, shared: ())
    }
}

/// Collects the places of a body's items, up to the limit of a request.
public struct IntakeItems {
    public private(set) var places: [Range<Int>] = []
    private let limit: Int

    public init(limit: Int) {
        self.limit = limit
    }

    public mutating func append(_ place: Range<Int>) throws(IngestError) {
        guard places.count < limit else { throw .tooManyEvents(limit) }
        places.append(place)
    }

    /// Appends the elements of an array.
    public mutating func append(elementsOf text: PaddedBytes, at range: Range<Int>) throws(IngestError) {
        guard var elements = JSONElements(text, at: range) else {
            throw IngestError(.invalidEnvelope, "An array of events is expected here.")
        }
        while let element = try IngestError.cutting({ () throws(JSONFault) in try elements.next() }) { try append(element) }
    }
}

extension IngestError {
    static func tooManyEvents(_ limit: Int) -> Self {
        Self(.tooManyEvents, "A request holds at most \(limit) events; send the rest in another.")
    }

    /// Runs a step of a cursor over a body.
    static func cutting<T>(_ next: () throws(JSONFault) -> T) throws(Self) -> T {
        do throws(JSONFault) {
            return try next()
        } catch {
            throw Self(
                .invalidJSON, "The body is not valid JSON: a bracket is not closed, a comma is missing, or something follows the end.")
        }
    }
}

extension JSONParser {
    /// Reads an item that is an object. A rejection names the object's id, where it has a valid one.
    mutating func draft(
        _ item: Range<Int>, of text: PaddedBytes, id: StaticString = "id",
        _ read: (borrowing JSONMembers) throws(Rejection) -> EventDraft
    ) throws(Rejection) -> EventDraft {
        try withMembers(of: text, at: item, maximumDepth: EventLimits.maximumDepth) { (members) throws(Rejection) in
            do throws(Rejection) {
                return try read(members)
            } catch {
                var rejection = error
                rejection.id = members.with(id) { try? FieldRules.string($0, "id", limit: FieldRules.idLength) }
                throw rejection
            }
        } fault: {
            Rejection(fault: $0)
        }
    }
}
