internal import AnalyticsCore
internal import Hummingbird

/// The shape in which a route answers. A vendor's clients expect one of their own. The lease is of what the result takes in memory; an answer
/// that is written as it is read holds it.
protocol IntakeAnswer: Sendable {
    /// The answer to a request that is not to be told that it succeeded, though it was read; nothing is waited for then.
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem?

    /// - Parameter outcome: What became of the accepted events, when the caller waits for it.
    func response(_ result: SubmissionResult, _ outcome: StoredWait.Outcome?, holding lease: ByteBudget.Lease) -> Response
}

/// For a route that takes one event.
struct EventAnswer: IntakeAnswer {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? {
        if let rejection = result.rejected.first.first { return Problem(rejection) }
        return result.unconfirmed.first.map { CollectAnswer.unconfirmed($0, reason: result.unconfirmedReason) }
    }

    func response(_ result: SubmissionResult, _ outcome: StoredWait.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        CollectAnswer.single(result.accepted[0], outcome)
    }
}

/// For a route that takes many.
struct BatchAnswer: IntakeAnswer {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? {
        if !result.unconfirmed.isEmpty { return CollectAnswer.unconfirmed(result, holding: lease) }
        return result.accepted.isEmpty ? CollectAnswer.allRejected(result, holding: lease) : nil
    }

    func response(_ result: SubmissionResult, _ outcome: StoredWait.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        CollectAnswer.batch(result, outcome, holding: lease)
    }
}
