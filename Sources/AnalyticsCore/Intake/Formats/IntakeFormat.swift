public import AnalyticsJSON

/// An ingest format: it splits a body into items and drafts the events of each item. Pure.
///
/// A value is made per request, with what the format needs from query and headers. It never names a project: authentication decides that.
/// To add a format, see `docs/decisions/intake-formats.md`.
public protocol IntakeFormat: Sendable {
    /// What the body states once for all of its items, apart from the time of sending.
    associatedtype Shared: Sendable = Void

    /// Step 1: finds the items of a body without parsing them, so that a malformed item does not affect the others.
    ///
    /// Throws if the body is not in this format; then no event is accepted.
    /// - Parameter limit: Maximum number of items per request. ``IntakeItems`` enforces it.
    func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<Shared>

    /// Step 2: appends the events of an item: none, one or several. Defaults, such as a source, are filled in here.
    ///
    /// Throws if the item makes no event; its appended drafts are then dropped. A rejection may name the item's id.
    func draft(
        _ item: Range<Int>, of batch: IntakeBatch<Shared>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection)
}

/// A body, split into its items.
public struct IntakeBatch<Shared: Sendable>: Sendable {
    /// The text that ``items`` index: the body, or the unwrapped body.
    public var text: PaddedBytes
    /// The range of each item, in order. An item is at most as large as an event.
    public var items: [Range<Int>]
    /// The time of sending by the sender's clock; it corrects the events' timestamps.
    public var sentAt: Timestamp?
    /// The id of the only item, if it is not part of the item's text. The rejection of an oversized item names it.
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

/// Collects the ranges of a body's items, up to the limit per request.
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

    /// Runs a step of a cursor over a body, and converts its error.
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
    /// Reads an item that is an object. A rejection names the object's id if that is valid.
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
