internal import Logging

/// Handles deliveries that cannot be processed. None is acknowledged before its minutes are marked: an earlier attempt may have stored the
/// events and ended before it marked them.
extension Flush {
    /// A delivery that is not a readable envelope: marks the minutes that can be read, dead-letters it and acknowledges it. A delivery with
    /// several sections is split instead, so that an unreadable section does not affect other requests.
    ///
    /// Throws only if cancelled: then the broker delivers again.
    func deadLetter(_ delivery: Delivery, _ reason: DeadLetterReason, _ error: String) async throws {
        let salvage = EnvelopeSalvage(delivery.body)
        if salvage.sections.count > 1 { return try await split(delivery, into: salvage.sections.map(\.message), error) }
        try await mark(salvage)
        try await publishAndAcknowledge(delivery, reason, error, salvage)
    }

    /// Records that this process begins a single delivery, and returns the step to take. Throws only if cancelled.
    func beginAttempt(on delivery: Delivery) async throws -> DeadLetterPolicy.Step {
        let digest = Digest.hexadecimal(of: delivery.body)
        let attempts = try await untilDone("begin attempt") { () throws(StoreError) in
            try await store.beginAttempt(on: digest, by: processId, at: clock.now())
        }
        return DeadLetterPolicy.step(after: attempts)
    }

    /// One attempt: remaining records belong to a delivery that no longer exists, and the store deletes them in time.
    func forgetAttempts(on delivery: Delivery) async {
        do throws(StoreError) {
            try await store.forgetAttempts(on: Digest.hexadecimal(of: delivery.body))
        } catch {
            logger.info("Delivery attempts not deleted", metadata: ["error": "\(error)"])
        }
    }

    /// A delivery that was redelivered many times and never finished: replaces it by one message per event on the events queue. For a
    /// single event, marks its minute and dead-letters it.
    func salvage(_ delivery: Delivery) async throws {
        let salvage = EnvelopeSalvage(delivery.body)
        guard salvage.messages.count > 1 else {
            try await mark(salvage)
            return try await publishAndAcknowledge(delivery, .redelivered, Self.neverFinished(delivery), salvage)
        }
        try await split(delivery, into: salvage.messages, "never finished")
    }

    /// Replaces a delivery by its parts on the events queue. The parts mark their events later.
    private func split(_ delivery: Delivery, into messages: [OutgoingMessage], _ error: String) async throws {
        try await publish(messages, to: .events)
        session.acknowledge([delivery.handle])
        logger.warning(
            "Delivery split",
            metadata: ["error": "\(error)", "deliveries": "\(delivery.redeliveries + 1)", "messages": "\(messages.count)"])
    }

    /// A delivery that even ``salvage(_:)`` never finished: dead-letters the bytes without reading them.
    func discard(_ delivery: Delivery) async throws {
        logger.error("Delivery dead-lettered unread; run `analytics reconcile` to find minutes to count again")
        try await publishAndAcknowledge(
            delivery, .redelivered,
            Self.neverFinished(delivery) + " Nothing was read of it: if its events are stored, `analytics reconcile` names their range.")
    }

    private static func neverFinished(_ delivery: Delivery) -> String {
        "Delivered \(delivery.redeliveries + 1) times, the last ones by itself, and never finished."
    }

    private func mark(_ salvage: EnvelopeSalvage) async throws {
        var marks = BucketMarks()
        for minute in salvage.buckets { marks.touch(minute, causes: .redelivery) }
        guard !marks.isEmpty else { return }
        try await untilDone("mark") { [marks] () throws(StoreError) in try await marks.write(to: store) }
    }

    /// - Parameter salvage: The projects and times of the events, as far as they can be read. The pipeline counts other events as in
    ///   flight.
    private func publishAndAcknowledge(
        _ delivery: Delivery, _ reason: DeadLetterReason, _ error: String, _ salvage: EnvelopeSalvage? = nil
    ) async throws {
        let letter = DeadLetter(
            reason: reason, error: error, attempts: delivery.redeliveries + 1, at: clock.now(), project: nil, eventId: nil,
            original: delivery.body)
        try await deadLetter([letter])
        var tally = PipelineTally()
        for section in salvage?.sections ?? [] {
            guard let project = section.project, let receivedAt = section.receivedAt else { continue }
            tally.addWhole(
                section.messages.count, isFirstDelivery: delivery.redeliveries == 0, project: project, receivedAt: receivedAt)
        }
        if !tally.counts.isEmpty { try await count(tally) }
        session.acknowledge([delivery.handle])
    }
}
