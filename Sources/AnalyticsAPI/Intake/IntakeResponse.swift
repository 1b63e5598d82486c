internal import AnalyticsCore
internal import AnalyticsJSON
internal import Hummingbird

/// The shape of a route's responses. Clients of a vendor expect the vendor's own. The lease counts the memory of the result; a response
/// that is written in slices holds it.
protocol IntakeResponse: Sendable {
    /// The response if the request did not succeed; `nil` if it did. With a problem there is no wait for storage.
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem?

    /// - Parameter outcome: The outcome of the accepted events, if the caller waits for it.
    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response
}

/// For routes that take one event.
struct EventResponse: IntakeResponse {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? {
        if let rejection = result.rejected.first.first { return Problem(rejection) }
        return result.unconfirmed.first.map { CollectResponse.unconfirmed($0) }
    }

    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        CollectResponse.single(result.accepted[0], outcome)
    }
}

/// For the route of site events, whose clients expect a `message`.
struct SiteEventResponse: IntakeResponse {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? {
        EventResponse().problem(result, holding: lease)
    }

    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        .json(.accepted) { $0.member("message", "Event accepted") }
    }
}

/// For routes that take a batch.
struct BatchResponse: IntakeResponse {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? {
        if !result.unconfirmed.isEmpty { return CollectResponse.unconfirmed(result, holding: lease) }
        return result.accepted.isEmpty ? CollectResponse.allRejected(result, holding: lease) : nil
    }

    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        CollectResponse.batch(result, outcome, holding: lease)
    }
}
