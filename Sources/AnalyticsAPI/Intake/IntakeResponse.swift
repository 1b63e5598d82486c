internal import AnalyticsCore
internal import AnalyticsJSON
internal import Hummingbird

/// The shape in which a route answers. A vendor's clients expect one of their own. The lease is of what the result takes in memory; an answer
/// that is written as it is read holds it.
protocol IntakeResponse: Sendable {
    /// The answer to a request that is not to be told that it succeeded, though it was read; nothing is waited for then.
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem?

    /// - Parameter outcome: What became of the accepted events, when the caller waits for it.
    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response
}

/// For a route that takes one event.
struct EventResponse: IntakeResponse {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? {
        if let rejection = result.rejected.first.first { return Problem(rejection) }
        return result.unconfirmed.first.map { CollectResponse.unconfirmed($0) }
    }

    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        CollectResponse.single(result.accepted[0], outcome)
    }
}

/// For the route of sites' events, whose clients expect a message.
struct SiteEventResponse: IntakeResponse {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? {
        EventResponse().problem(result, holding: lease)
    }

    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        .json(.accepted) { $0.member("message", "Event accepted") }
    }
}

/// For a route that takes many.
struct BatchResponse: IntakeResponse {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? {
        if !result.unconfirmed.isEmpty { return CollectResponse.unconfirmed(result, holding: lease) }
        return result.accepted.isEmpty ? CollectResponse.allRejected(result, holding: lease) : nil
    }

    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        CollectResponse.batch(result, outcome, holding: lease)
    }
}
