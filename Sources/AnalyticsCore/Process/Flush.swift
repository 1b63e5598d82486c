internal import CoreMetrics
internal import Logging
internal import Metrics

/// Writes deliveries: insert the events → mark their buckets → delete events erased meanwhile → dead-letter events that cannot be stored →
/// acknowledge → report to the requests that wait. Outcomes are counted in parallel with the marks, and durable before the acknowledgement.
///
/// Each step can be repeated, and nothing is acknowledged before all earlier steps are durable. A crash between two steps only causes a
/// redelivery. If a dependency is down, the flush waits and keeps its deliveries.
struct Flush: Sendable {
    typealias Entry = WriteBuffer.Entry
    typealias Section = WriteBuffer.Section

    let store: any ProcessorStore
    let gate: RetentionGate
    let erasures: ErasureGate
    let publisher: any EventPublisher
    let session: DeliverySession
    let clock: WallClock
    let elapsed: ElapsedClock
    let logger: Logger
    /// Id of this run of the process.
    let processId: String
    /// Shared by all flushes of the process.
    let successes: InsertSuccesses
    /// Shared by all flushes of the process.
    let ledger: PipelineLedger

    private static let duration = MetricCatalogue.metrics.flushDuration.makeTimer()
    private static let size = MetricCatalogue.metrics.flushEvents.makeRecorder()
    private static let processing = MetricCatalogue.metrics.eventProcessingDuration.makeTimer()

    /// Returns when everything is acknowledged. Throws only if cancelled: then the broker delivers again.
    func callAsFunction(_ entries: [Entry]) async throws {
        try Task.checkCancellation()
        let start = ContinuousClock.now
        let events = entries.flatMap(\.sections).flatMap(\.events)
        let admission = try await untilDone("admit") { () throws(StoreError) in try await admit(events) }
        var outcomes = admission.outcomes(try await insert(admission.open))
        let inserted = outcomes
        async let counted: Void = count(Self.tally(Self.results(of: entries, inserted)))
        var places = Array(events.indices)
        var backoff = Backoff()
        while true {
            let (own, written) = (places.map { events[$0] }, places.map { outcomes[$0] })
            var marks = BucketMarks(at: clock.now())
            for (stored, outcome) in zip(own, written) { marks.touch(stored, outcome) }
            try await untilDone("mark") { [marks] () throws(StoreError) in try await marks.write(to: store) }
            let confirmed = try await untilDone("confirm") { () throws(StoreError) in try await confirm(own, written) }
            for (place, outcome) in zip(places, confirmed.outcomes) { outcomes[place] = outcome }
            // Their ids were taken by erased events.
            places = confirmed.freed.map { places[$0] }
            guard !places.isEmpty else { break }
            if backoff.failures > 0 { try await elapsed.sleep(backoff.next()) } else { _ = backoff.next() }
            for (place, outcome) in zip(places, try await insert(places.map { events[$0] })) { outcomes[place] = outcome }
        }
        let results = Self.results(of: entries, outcomes)
        try await deadLetterFailures(results)
        try await counted
        if outcomes != inserted {
            try await count(Self.tally(results), inPlaceOf: Self.tally(Self.results(of: entries, inserted)))
        }
        session.acknowledge(entries.map(\.handle))
        measure(results, since: start)
        await report(results)
    }

    /// A section of a delivery, and the outcomes of its events.
    private typealias SectionResult = (section: Section, redeliveries: Int, outcomes: ArraySlice<InsertOutcome>)

    private static func results(of entries: [Entry], _ outcomes: [InsertOutcome]) -> [SectionResult] {
        var rest = outcomes[...]
        return entries.flatMap { entry in
            entry.sections.map { section in
                defer { rest = rest.dropFirst(section.events.count) }
                return (section, entry.redeliveries, rest.prefix(section.events.count))
            }
        }
    }

    private static func tally(_ results: [SectionResult]) -> PipelineTally {
        var tally = PipelineTally()
        for (section, redeliveries, outcomes) in results { tally.add(section, redeliveries: redeliveries, outcomes) }
        return tally
    }

    // MARK: Steps

    private func admit(_ events: [StoredEvent]) async throws(StoreError) -> Admission {
        var admission = try await gate.admit(events)
        admission.withhold(try await erasures.covered(events, by: admission.records))
        return admission
    }

    /// Checks again, after the marks, for erasures and closed time since the first check.
    ///
    /// Also returns the indexes of events to insert again: ``ErasureGate/freeIds(of:_:by:)``.
    private func confirm(
        _ events: [StoredEvent], _ outcomes: [InsertOutcome]
    ) async throws(StoreError) -> (outcomes: [InsertOutcome], freed: [Int]) {
        let records = ProjectRecords(try await store.newestRecords(of: Array(Set(events.map(\.event.project)))))
        let kept = try await erasures.confirm(events, outcomes, by: records)
        let freed = try await erasures.freeIds(of: events, kept, by: records)
        return (try await gate.confirm(events, kept, by: records), freed)
    }

    /// Follows an ``InsertPlan`` until each event is settled. Throws only if cancelled.
    private func insert(_ events: [StoredEvent]) async throws -> [InsertOutcome] {
        var plan = InsertPlan(count: events.count)
        var backoff = Backoff()
        while let step = plan.next(successes: successes.value) {
            switch step {
            case .insert(let range):
                do throws(StoreError) {
                    let outcomes = try await store.insert(Array(events[range]))
                    successes.add()
                    plan.succeeded(outcomes)
                } catch {
                    plan.failed(error, successes: successes.value)
                    logHeld("insert", error)
                }
            case .probe(let index):
                if (try? await store.insert([events[index]])) != nil { successes.add() }
            case .pause:
                try await elapsed.sleep(backoff.next())
            }
        }
        return plan.outcomes
    }

    /// Returns when the counts are durable. Throws only if cancelled.
    ///
    /// Nothing is acknowledged before it is counted, and redeliveries are counted separately. A crash at any moment therefore loses no
    /// count, and adds none that would hide the loss of another event.
    ///
    /// - Parameter former: Earlier counts of the same events, which have changed since.
    func count(_ tally: PipelineTally, inPlaceOf former: PipelineTally? = nil) async throws {
        if let former { ledger.add(former.counts, times: -1) }
        ledger.add(tally.counts)
        try await untilDone("count") { () throws(StoreError) in try await ledger.write(Array(tally.counts.keys)) }
    }

    private func deadLetterFailures(_ results: [SectionResult]) async throws {
        var letters: [DeadLetter] = []
        for (section, redeliveries, outcomes) in results {
            for (stored, outcome) in zip(section.events, outcomes) {
                let (reason, error): (DeadLetterReason, String)
                switch outcome {
                case .stored, .duplicate, .redelivered, .erased: continue
                case .conflict: (reason, error) = (.conflict, "The id is taken by an event with other content.")
                case .refused(let message): (reason, error) = (.refused, message)
                case .expired(let time): (reason, error) = (.expired, "Events before \(time.rfc3339) are not stored any more.")
                }
                letters.append(
                    DeadLetter(
                        reason: reason, error: error, attempts: redeliveries + 1, at: clock.now(),
                        project: stored.event.project, eventId: stored.event.id,
                        original: EnvelopeEncoder.single(stored.event, origin: section.origin)))
            }
        }
        try await deadLetter(letters)
    }

    func deadLetter(_ letters: [DeadLetter]) async throws {
        try await publish(letters.map { $0.message() }, to: .deadLetters)
        for (reason, group) in Dictionary(grouping: letters, by: \.reason) {
            EventMetrics.deadLettered(reason, count: group.count)
            logger.warning("Events dead-lettered", metadata: ["reason": "\(reason.rawValue)", "count": "\(group.count)"])
        }
    }

    /// Returns when the broker has confirmed all of them. Throws only if cancelled.
    func publish(_ messages: [OutgoingMessage], to queue: QueueName) async throws {
        var messages = messages
        var backoff = Backoff()
        while !messages.isEmpty {
            let outcomes = await publisher.publish(messages, to: queue)
            messages = zip(messages, outcomes).compactMap { $1 == .confirmed ? nil : $0 }
            if !messages.isEmpty { try await elapsed.sleep(backoff.next()) }
        }
    }

    func untilDone<R>(_ step: String, _ body: () async throws(StoreError) -> R) async throws -> R {
        var backoff = Backoff()
        while true {
            do {
                return try await body()
            } catch {
                logHeld(step, error)
                try await elapsed.sleep(backoff.next())
            }
        }
    }

    private func logHeld(_ step: String, _ error: StoreError) {
        logger.warning("Store unavailable, events are held", metadata: ["step": "\(step)", "error": "\(error)"])
    }

    /// Reports to the requests that wait. One attempt: without a report the caller is told that the events are accepted, which is true.
    private func report(_ results: [SectionResult]) async {
        var reports: [DeliveryReport] = []
        for (section, _, outcomes) in results {
            guard let request = section.requestToReport, let first = section.events.first?.event else { continue }
            var report = DeliveryReport(project: first.project, request: request, first: first.ingestIDParts.index, at: clock.now())
            for outcome in outcomes {
                switch outcome {
                case .stored, .redelivered: report.stored += 1
                case .duplicate, .conflict: report.duplicates += 1
                case .refused, .expired: report.refused += 1
                case .erased: report.erased += 1
                }
            }
            reports.append(report)
        }
        guard !reports.isEmpty else { return }
        do throws(StoreError) {
            try await store.add(reports)
        } catch {
            logger.info("Delivery reports not written", metadata: ["error": "\(error)"])
        }
    }

    private func measure(_ results: [SectionResult], since start: ContinuousClock.Instant) {
        var stored = 0
        var duplicate = 0
        var conflicting = 0
        var redelivered = 0
        var erased = 0
        var kinds: [StoredEventLabels.Kind: Int] = [:]
        for (section, redeliveries, outcomes) in results {
            for (event, outcome) in zip(section.events, outcomes) {
                switch outcome {
                case .duplicate: duplicate += 1
                case .conflict: conflicting += 1
                case .redelivered where redeliveries > 0: redelivered += 1
                // First delivery, but already stored: this flush stored it in an attempt whose response was lost.
                case .stored, .redelivered:
                    stored += 1
                    kinds[.init(project: event.event.project.name, type: BytewiseString(event.event.type)), default: 0] += 1
                case .erased: erased += 1
                case .refused, .expired: break
                }
            }
        }
        EventMetrics.storedByType.add(kinds)
        EventMetrics.stored.increment(by: stored)
        EventMetrics.duplicate.increment(by: duplicate)
        EventMetrics.conflicting.increment(by: conflicting)
        EventMetrics.redelivered.increment(by: redelivered)
        EventMetrics.erased.increment(by: erased)
        Self.size.record(results.reduce(0) { $0 + $1.outcomes.count })
        Self.duration.recordNanoseconds((ContinuousClock.now - start).nanoseconds)
        let now = clock.now()
        for stored in results.lazy.flatMap(\.section.events) {
            Self.processing.recordNanoseconds(max(.zero, now - stored.event.receivedAt).nanoseconds)
        }
    }
}
