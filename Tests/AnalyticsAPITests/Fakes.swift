import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

/// Keeps what is published, and may refuse it, all of it or from some message on.
final class FakePublisher: EventPublisher {
    struct State {
        var messages: [OutgoingMessage] = []
        /// Messages of each publish that are confirmed; all when `nil`.
        var confirmed: Int?
        /// Where confirmed events go, as if a processor had stored them at once.
        var store: MemoryStore?
        var gate: AsyncStream<Void>?
    }

    static let reason = "connecting to mq3.internal:5672: refused"

    let state = Mutex(State())

    func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        if let gate = state.withLock({ $0.gate }) { for await _ in gate {} }
        let (confirmed, store) = state.withLock { state in
            let confirmed = messages.prefix(state.confirmed ?? messages.count)
            state.messages += confirmed
            return (confirmed, state.store)
        }
        do {
            for message in confirmed { try await store?.process(message) }
        } catch {
            Issue.record(error)
        }
        return messages.indices.map { $0 < confirmed.count ? .confirmed : .unconfirmed(Self.reason) }
    }

    /// The events of what was confirmed.
    var events: [Event] {
        get throws { try state.withLock { try $0.messages.flatMap { try EnvelopeDecoder().decode($0.body).events } } }
    }

    var origin: RequestOrigin? {
        get throws { try state.withLock { try $0.messages.last.map { try EnvelopeDecoder().decode($0.body).origin } } }
    }
}

extension MemoryStore {
    /// Stores, marks and reports what a message carries, as a processor does.
    func process(_ message: OutgoingMessage) async throws {
        let envelope = try EnvelopeDecoder().decode(message.body)
        guard let first = envelope.events.first else { return }
        let events = envelope.events.map { event in
            StoredEvent(event: event, processedAt: event.receivedAt, context: nil, fingerprint: event.fingerprint)
        }
        let outcomes = try await process(events)
        guard let request = envelope.requestToReport else { return }
        var report = DeliveryReport(project: first.project, request: request, first: first.ingestIDParts.index, at: first.receivedAt)
        report.stored = outcomes.count { $0 == .stored }
        report.duplicates = outcomes.count - report.stored
        try await add([report])
    }

    @discardableResult
    func process(_ events: [StoredEvent]) async throws -> [InsertOutcome] {
        let outcomes = try await insert(events)
        var marks = BucketMarks()
        for (event, outcome) in zip(events, outcomes) { marks.touch(event, outcome) }
        try await marks.write(to: self)
        return outcomes
    }
}

/// Makes listings of a store take until they are cancelled.
final class EndlessListings: Sendable {
    private let counts = Mutex((begun: 0, cancelled: 0))

    init(of store: MemoryStore) {
        store.beforeRead { [self] operation in
            guard operation == "events" else { return }
            counts.withLock { $0.begun += 1 }
            try? await Task.sleep(for: .seconds(600))
            counts.withLock { $0.cancelled += 1 }
        }
    }

    var begun: Int { counts.withLock { $0.begun } }
    var cancelled: Int { counts.withLock { $0.cancelled } }
}
