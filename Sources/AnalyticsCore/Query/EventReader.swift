internal import FoundationEssentials

/// Answers what is stored: single events and listings.
public struct EventReader: Sendable {
    private let store: any EventStore

    public init(store: any EventStore) {
        self.store = store
    }

    public func event(project: String, id: String) async throws -> StoredEvent? {
        try await store.event(project: project, id: id)
    }

    /// A page, newest first, and where the next one begins (`nil` when this is the last).
    ///
    /// A page never skips or repeats an event while others arrive: it goes on behind a position, not behind a number of events.
    public func page(
        _ filter: EventFilter, after cursor: EventCursor?, limit: Int
    ) async throws(StoreError) -> (events: [StoredEvent], next: EventCursor?) {
        var events = try await store.events(matching: filter, after: cursor?.position, limit: limit + 1)
        guard events.count > limit, limit > 0 else { return (events, nil) }
        events.removeLast(events.count - limit)
        let last = events[limit - 1].event
        return (events, EventCursor(position: EventPosition(timestamp: last.timestamp, id: last.id)))
    }
}

/// A position in a listing, as callers carry it: opaque text that is safe in a URL.
public struct EventCursor: Sendable, Equatable {
    public var position: EventPosition

    public init(position: EventPosition) {
        self.position = position
    }

    /// `nil` when it is not a text that ``text`` gave.
    public init?(_ text: String) {
        var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
        base64.append(String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4))
        guard let data = Data(base64Encoded: base64), let plain = String(validating: data, as: UTF8.self) else { return nil }
        let parts = plain.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "1", let milliseconds = Int64(parts[1]), !parts[2].isEmpty else { return nil }
        position = EventPosition(timestamp: Timestamp(milliseconds: milliseconds), id: String(parts[2]))
    }

    public var text: String {
        Data("1 \(position.timestamp.milliseconds) \(position.id)".utf8).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
