internal import CoreMetrics
internal import Logging
internal import Metrics

/// Writes deliveries: insert the events → mark their buckets → publish what cannot be stored to the dead letters → acknowledge, and
/// tell the requests that wait.
///
/// Each step can be repeated, and nothing is acknowledged before all that comes before it is durable; so a crash between any two
/// means a redelivery, and nothing else. A dependency that is away is waited for: the deliveries are held, not given back.
struct Flush: Sendable {
    typealias Entry = WriteBuffer<ContinuousClock.Instant>.Entry

    let store: any Store
    let broker: any EventPublisher & EventConsumer
    let clock: WallClock
    let logger: Logger

    private static let duration = Metrics.Timer(label: "analytics_flush_duration_seconds")
    private static let size = Recorder(label: "analytics_flush_events")
    private static let processing = Metrics.Timer(label: "analytics_event_processing_duration_seconds")

    /// Returns when all of it is acknowledged. Throws only when cancelled: then the broker delivers again.
    func callAsFunction(_ entries: [Entry]) async throws {
        try Task.checkCancellation()
        let start = ContinuousClock.now
        let events = entries.flatMap(\.events)
        let outcomes = try await untilDone("insert") { () throws(StoreError) in try await insert(events) }
        var marks = BucketMarks()
        for (stored, outcome) in zip(events, outcomes) { marks.touch(stored.event, isNew: outcome == .stored) }
        try await untilDone("mark") { [marks] () throws(StoreError) in try await marks.write(to: store) }
        let results = Self.results(of: entries, outcomes)
        try await buryWhatFailed(results)
        await broker.acknowledge(entries.map(\.handle))
        measure(results, since: start)
        await report(results)
    }

    /// Publishes a delivery to the dead letters and acknowledges it.
    func giveUp(_ handle: DeliveryHandle, _ letter: DeadLetter) async throws {
        try await bury([letter])
        await broker.acknowledge([handle])
    }

    /// A delivery, and what came of each of its events.
    private typealias DeliveryResult = (entry: Entry, outcomes: ArraySlice<InsertOutcome>)

    private static func results(of entries: [Entry], _ outcomes: [InsertOutcome]) -> [DeliveryResult] {
        var rest = outcomes[...]
        return entries.map { entry in
            defer { rest = rest.dropFirst(entry.events.count) }
            return (entry, rest.prefix(entry.events.count))
        }
    }

    // MARK: Steps

    /// Halves what the store refuses as a whole, down to the event that it refuses.
    private func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome] {
        do {
            return try await store.insert(events)
        } catch  where error.code == .refused {
            guard events.count > 1 else { return [.refused(error.message)] }
            let middle = events.count / 2
            return try await insert(Array(events[..<middle])) + insert(Array(events[middle...]))
        }
    }

    private func buryWhatFailed(_ results: [DeliveryResult]) async throws {
        var letters: [DeadLetter] = []
        for (entry, outcomes) in results {
            for (stored, outcome) in zip(entry.events, outcomes) {
                let (reason, error): (DeadLetterReason, String)
                switch outcome {
                case .stored, .duplicate, .redelivered: continue
                case .conflict: (reason, error) = (.conflict, "The id is taken by an event with other content.")
                case .refused(let message): (reason, error) = (.refused, message)
                }
                letters.append(
                    DeadLetter(
                        reason: reason, error: error, attempts: entry.redeliveries + 1, at: clock.now(),
                        project: stored.event.project, eventId: stored.event.id,
                        original: ChunkEncoder.single(stored.event, sender: entry.sender)))
            }
        }
        try await bury(letters)
    }

    private func bury(_ letters: [DeadLetter]) async throws {
        var messages = letters.map { $0.message() }
        var backoff = Backoff()
        while !messages.isEmpty {
            let outcomes = await broker.publish(messages, to: .deadLetters)
            messages = zip(messages, outcomes).compactMap { $1 == .confirmed ? nil : $0 }
            if !messages.isEmpty { try await Task.sleep(for: backoff.next()) }
        }
        for (reason, group) in Dictionary(grouping: letters, by: \.reason) {
            EventMetrics.deadLettered(reason, count: group.count)
            logger.warning("Events went to the dead letters", metadata: ["reason": "\(reason.rawValue)", "count": "\(group.count)"])
        }
    }

    private func untilDone<R>(_ step: String, _ body: () async throws(StoreError) -> R) async throws -> R {
        var backoff = Backoff()
        while true {
            do {
                return try await body()
            } catch {
                logger.warning("The store is away; the events are held", metadata: ["step": "\(step)", "error": "\(error)"])
                try await Task.sleep(for: backoff.next())
            }
        }
    }

    /// To those who wait. One try: whoever misses a report is told that the events are accepted, which they are.
    private func report(_ results: [DeliveryResult]) async {
        var reports: [DeliveryReport] = []
        for (entry, outcomes) in results {
            guard let request = entry.waitingRequest, let first = entry.events.first?.event else { continue }
            var report = DeliveryReport(project: first.project, request: request, first: first.receiptParts.index, at: clock.now())
            for outcome in outcomes {
                switch outcome {
                case .stored, .redelivered: report.stored += 1
                case .duplicate, .conflict: report.duplicates += 1
                case .refused: report.refused += 1
                }
            }
            reports.append(report)
        }
        guard !reports.isEmpty else { return }
        do throws(StoreError) {
            try await store.add(reports)
        } catch {
            logger.info("Requests that wait are not told that their events are stored", metadata: ["error": "\(error)"])
        }
    }

    private func measure(_ results: [DeliveryResult], since start: ContinuousClock.Instant) {
        var stored = 0
        var duplicate = 0
        var conflicting = 0
        var redelivered = 0
        for (entry, outcomes) in results {
            for outcome in outcomes {
                switch outcome {
                case .stored: stored += 1
                case .duplicate: duplicate += 1
                case .conflict: conflicting += 1
                // Delivered for the first time: this flush has stored it, in an attempt whose answer was lost.
                case .redelivered where entry.redeliveries == 0: stored += 1
                case .redelivered: redelivered += 1
                case .refused: break
                }
            }
        }
        EventMetrics.stored.increment(by: stored)
        EventMetrics.duplicate.increment(by: duplicate)
        EventMetrics.conflicting.increment(by: conflicting)
        EventMetrics.redelivered.increment(by: redelivered)
        Self.size.record(results.reduce(0) { $0 + $1.outcomes.count })
        Self.duration.recordNanoseconds((ContinuousClock.now - start).nanoseconds)
        let now = clock.now()
        for stored in results.lazy.flatMap(\.entry.events) {
            Self.processing.recordNanoseconds(max(.zero, now - stored.event.receivedAt).nanoseconds)
        }
    }
}

/// Growing pauses between attempts: from 50 ms to 5 s, doubled each time, and varied by a quarter so that processes do not march in step.
struct Backoff {
    private var pause: Duration = .milliseconds(50)

    mutating func next() -> Duration {
        defer { pause = min(pause * 2, .seconds(5)) }
        return pause * Double.random(in: 0.75...1.25)
    }
}

extension Duration {
    var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
