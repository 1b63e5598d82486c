internal import Logging

/// Ends deliveries that cannot be processed. Nothing is acknowledged unmarked: an earlier attempt may have stored the events and ended
/// before it marked their minutes.
extension Flush {
    /// A delivery that is no envelope: marks what minutes can be read of it, publishes it to the dead letters, acknowledges it. One of several
    /// sections is split instead, so that the one that cannot be read takes no other request with it.
    ///
    /// Throws only when cancelled: then the broker delivers again.
    func deadLetter(_ delivery: Delivery, _ reason: DeadLetterReason, _ error: String) async throws {
        let salvage = EnvelopeSalvage(delivery.body)
        if salvage.sections.count > 1 { return try await split(delivery, into: salvage.sections.map(\.message), error) }
        try await mark(salvage)
        try await publishAndAcknowledge(delivery, reason, error, salvage)
    }

    /// Records that this process begins on a delivery by itself, and says what it is to do. Throws only when cancelled.
    func beginAttempt(on delivery: Delivery) async throws -> DeadLetterPolicy.Step {
        let digest = Digest.hexadecimal(of: delivery.body)
        let attempts = try await untilDone("begin attempt") { () throws(StoreError) in
            try await store.beginAttempt(on: digest, by: processId, at: clock.now())
        }
        return DeadLetterPolicy.step(after: attempts)
    }

    /// One try: attempts that stay are those of a delivery that is gone, and the store forgets them in time.
    func forgetAttempts(on delivery: Delivery) async {
        do throws(StoreError) {
            try await store.forgetAttempts(on: Digest.hexadecimal(of: delivery.body))
        } catch {
            logger.info("Attempts on a delivery are not forgotten yet", metadata: ["error": "\(error)"])
        }
    }

    /// A delivery that came again and again and was never finished: cuts it into one message per event, which are published to the events
    /// queue in its place; of a single event marks the minute and publishes it to the dead letters.
    func salvage(_ delivery: Delivery) async throws {
        let salvage = EnvelopeSalvage(delivery.body)
        guard salvage.messages.count > 1 else {
            try await mark(salvage)
            return try await publishAndAcknowledge(delivery, .redelivered, Self.neverFinished(delivery), salvage)
        }
        try await split(delivery, into: salvage.messages, "never finished")
    }

    /// Publishes parts of a delivery to the events queue in its place. What marks its events need, the parts bring about.
    private func split(_ delivery: Delivery, into messages: [OutgoingMessage], _ error: String) async throws {
        try await publish(messages, to: .events)
        session.acknowledge([delivery.handle])
        logger.warning(
            "A delivery was split",
            metadata: ["error": "\(error)", "deliveries": "\(delivery.redeliveries + 1)", "messages": "\(messages.count)"])
    }

    /// A delivery of which even ``salvage(_:)`` was never finished: publishes the bytes to the dead letters without reading them.
    func discard(_ delivery: Delivery) async throws {
        logger.error("A delivery was dead-lettered unread; `analytics reconcile` says whether minutes are to be counted again")
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

    /// - Parameter salvage: Tells whose events are in it, as far as they can be told; of others the pipeline says that they are in flight.
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
