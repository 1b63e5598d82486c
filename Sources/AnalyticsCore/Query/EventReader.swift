internal import AnalyticsJSON

/// Reads stored events: single events and listings.
public struct EventReader: Sendable {
    let store: any EventStore & EventScanner
    let gate: QueryGate

    public init(store: any EventStore & EventScanner, gate: QueryGate) {
        self.store = store
        self.gate = gate
    }

    public func event(project: ProjectID, id: String) async throws -> StoredEvent? {
        try await store.event(project: project, id: id)
    }

    /// Bytes of events after which a page ends, even if it holds few events.
    static let pageBytes = 8 * 1024 * 1024

    /// A page of at most `limit` events, newest first, and the position of the next page (`nil` for the last page). Large events make
    /// a page shorter, which bounds its memory.
    ///
    /// A page never skips or repeats an event while others arrive: it continues after a position, not after a count of events.
    ///
    /// Throws a ``QueryLimitError`` when the page does not get its turn, or is not complete, in time.
    ///
    /// - Parameter hold: Called before the read with the most bytes that the page may take, and after it with the bytes that it
    ///   takes. It throws when there is no memory for them; the error is passed on.
    public func page(
        _ selection: Selection, after cursor: EventCursor?, limit: Int, for asker: Asker = .staying,
        holding hold: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) async throws -> (events: [StoredEvent], next: EventCursor?) {
        try await asker.whileWaiting {
            try await gate(for: selection.project) { try await read(selection, after: cursor, limit: limit, hold) }
        }
    }

    /// The timestamp of the first selected event.
    func oldest(_ selection: Selection, for asker: Asker) async throws -> Timestamp? {
        try await scanning(selection, for: asker, into: FirstEvent()).timestamp
    }

    func scanning<Reducer: EventScanReducer>(_ selection: Selection, for asker: Asker, into reducer: Reducer) async throws -> Reducer {
        try await asker.whileWaiting {
            try await gate(for: selection.project) {
                let range = (selection.from ?? .earliest)..<(selection.to ?? Range.always.upperBound)
                return try await store.scanEvents(selection, in: [range], reading: [], into: reducer)
            }
        }
    }

    private func read(
        _ selection: Selection, after cursor: EventCursor?, limit: Int, _ hold: (Int) throws -> Void
    ) async throws -> (events: [StoredEvent], next: EventCursor?) {
        try hold(Self.pageBytes)
        // One event beyond the page tells whether there is a next page.
        var events = try await store.events(matching: selection, after: cursor?.position, limit: limit + 1, byteLimit: Self.pageBytes)
        let bytes = events.reduce(0) { $0 + $1.size }
        try hold(bytes)
        guard events.count > limit || bytes >= Self.pageBytes else { return (events, nil) }
        if events.count > limit { events.removeLast() }
        return (events, events.last.map { EventCursor(position: $0.position) })
    }
}

private struct FirstEvent: EventScanReducer {
    private(set) var timestamp: Timestamp?

    mutating func add(_ event: ScannedEvent) -> Bool {
        timestamp = event.timestamp
        return false
    }
}

extension StoredEvent {
    var position: EventPosition { EventPosition(timestamp: event.timestamp, id: event.id) }
}

/// A position in a listing as callers send it: opaque text that is safe in a URL.
public struct EventCursor: Sendable, Equatable {
    public var position: EventPosition

    public init(position: EventPosition) {
        self.position = position
    }

    /// `nil` unless the text comes from ``text``.
    public init?(_ text: String) {
        guard let bytes = Base64URL.decode(text), let plain = String(validating: bytes, as: UTF8.self) else { return nil }
        let parts = plain.splitUTF8(" ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].equalsUTF8("1"), let milliseconds = Int64(parts[1]) else { return nil }
        position = EventPosition(timestamp: Timestamp(milliseconds: milliseconds), id: String(parts[2]))
    }

    public var text: String { Base64URL.encode(Array("1 \(position.timestamp.milliseconds) \(position.id)".utf8)) }
}
