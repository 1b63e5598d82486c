import AnalyticsCore
import AnalyticsJSON
import Foundation
import TestSupport

func stored(
    _ id: String, project: ProjectID = "p", type: String = "view", source: String = "web", at timestamp: Timestamp = noon,
    data: String? = "{}", userId: String? = nil, anonymousId: String? = nil, visitorId: String? = nil,
    correlationId: String? = nil,
    sessionId: String? = nil, ingestID: String? = nil, isBot: Bool = false, fingerprint: Int64 = 1
) -> StoredEvent {
    StoredEvent(
        event: Event(
            project: project, id: id, type: type, source: source, timestamp: timestamp,
            data: data.map { JSONText(normalised: $0) }, correlationId: correlationId, userId: userId,
            anonymousId: anonymousId, visitorId: visitorId, sessionId: sessionId, receivedAt: timestamp, ingestID: ingestID ?? "r-\(id)"
        ),
        processedAt: timestamp, context: isBot ? JSONText(normalised: #"{"device":"bot","bot":true}"#) : nil, fingerprint: fingerprint
    )
}

/// Not of the past: a store may drop what is old at any time.
func report(
    project: ProjectID = "p", request: String = "r", first: Int = 0, stored: Int = 0, duplicates: Int = 0, refused: Int = 0
) -> DeliveryReport {
    DeliveryReport(
        project: project, request: request, first: first, stored: stored, duplicates: duplicates, refused: refused, at: tomorrow)
}

/// The same for all reports of a run, however long it takes.
private let tomorrow = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) + .seconds(86_400)

extension EventStore {
    /// Inserts events that must all be new.
    func add(_ events: [StoredEvent]) async throws {
        for outcome in try await insert(events) where outcome != .stored {
            throw UnexpectedOutcome(outcome: outcome)
        }
    }

    /// However many bytes they take.
    func events(matching filter: Selection, after position: EventPosition?, limit: Int) async throws(StoreError) -> [StoredEvent] {
        try await events(matching: filter, after: position, limit: limit, byteLimit: .max)
    }

    /// The ids that a listing gives, in its order.
    func ids(_ filter: Selection, after position: EventPosition? = nil, limit: Int = 1000) async throws -> [String] {
        try await events(matching: filter, after: position, limit: limit).map(\.event.id)
    }

    /// Every id of a listing, read page by page; ends on a store that gives the same page for ever.
    func ids(_ filter: Selection, pagesOf limit: Int) async throws -> [String] {
        var ids: [String] = []
        var position: EventPosition?
        while ids.count < 5000 {
            let page = try await events(matching: filter, after: position, limit: limit)
            ids += page.map(\.event.id)
            guard page.count == limit, let last = page.last?.event else { return ids }
            position = EventPosition(timestamp: last.timestamp, id: last.id)
        }
        return ids
    }
}

extension RollupStore {
    func rollup(_ tier: RollupTier, _ key: BucketKey) async throws -> Rollup? {
        try await rollups(tier, project: key.project, in: [key.index..<key.index + 1]).first
    }
}

struct UnexpectedOutcome: Error {
    var outcome: InsertOutcome
}

/// Bytes, because Swift's `==` takes a composed and a decomposed é for the same string, and a store must not.
func bytes(_ string: String?) -> [UInt8]? {
    string.map { Array($0.utf8) }
}

func key(_ index: Int64, _ project: ProjectID = "p") -> BucketKey {
    BucketKey(project: project, index: index)
}
