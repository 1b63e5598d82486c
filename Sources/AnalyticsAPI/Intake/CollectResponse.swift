internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Responses about the events of a request. Pure.
enum CollectResponse {
    /// Bytes of rejections that are listed even if there is no room for them.
    private static let alwaysListed = 16 * 1024

    /// Resizes `lease` from the body to the result. If the result is larger and there is no room, fewer rejections are listed, but all are
    /// counted.
    static func fit(_ result: inout SubmissionResult, into lease: ByteBudget.Lease) {
        if lease.resize(to: result.size) { return }
        result.rejected.keep(byteLimit: max(lease.bytes - result.eventBytes, alwaysListed))
    }

    static func single(_ event: AcceptedEvent, _ outcome: StorageWaiter.Outcome?) -> Response {
        let status =
            switch outcome {
            case let outcome? where outcome.stored > 0: "stored"
            case let outcome? where outcome.duplicates > 0: "duplicate"
            case let outcome? where outcome.refused > 0: "dead_lettered"
            case let outcome? where outcome.erased > 0: "erased"
            default: "accepted"
            }
        return .json(outcome?.pending == 0 ? .ok : .accepted) { writer in
            writer.member("id", event.id)
            writer.member("status", status)
            writer.members(outcome)
        }
    }

    static func batch(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        let accepted = Int64(result.accepted.count)
        let counts = JSONPart.once { writer in
            writer.member("accepted", accepted)
            writer.members(outcome)
        }
        return .json(
            outcome?.pending == 0 ? .ok : .accepted, capacity: 128 + result.rejected.first.count * 160, holding: lease,
            [counts] + list(result.rejected))
    }

    /// A problem that also has the members of a batch response.
    static func allRejected(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem {
        let detail = "None of the \(result.rejected.count) events was accepted; 'rejected' says why. Correct them before sending again."
        return Problem(.eventsRejected, detail, holding: lease, [.once { $0.member("accepted", 0) }] + list(result.rejected))
    }

    static func unconfirmed(_ event: AcceptedEvent) -> Problem {
        Problem(
            .brokerUnavailable, "The event is not accepted: \(SubmissionResult.whyUnconfirmed). Send it again with this id; that is safe."
        ) {
            $0.member("id", event.id)
        }
    }

    /// Lists the rejected events, and the events to send again.
    static func unconfirmed(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem {
        let accepted = Int64(result.accepted.count)
        let detail =
            "\(result.accepted.count) events are accepted, \(result.unconfirmed.count) are not: \(SubmissionResult.whyUnconfirmed). "
            + "Send those under 'retry' again, with these ids; sending the whole batch again is as safe where its events have ids."
        let retry = JSONPart.list("retry", of: result.unconfirmed) { event, writer in
            writer.beginObject()
            writer.member("index", Int64(event.index))
            writer.member("id", event.id)
            writer.endObject()
        }
        let parts = [.once { $0.member("accepted", accepted) }] + list(result.rejected) + retry
        return Problem(.brokerUnavailable, detail, holding: lease, parts)
    }

    private static func list(_ rejected: Rejections) -> [JSONPart] {
        let count = rejected.count > rejected.first.count ? Int64(rejected.count) : nil
        return [.once { $0.member("rejectedCount", count) }]
            + JSONPart.list("rejected", of: rejected.first) { rejection, writer in
                writer.beginObject()
                writer.member("index", Int64(rejection.index))
                writer.member("id", rejection.id)
                writer.member("field", rejection.field)
                writer.member("code", rejection.code.rawValue)
                writer.member("message", rejection.message)
                writer.endObject()
            }
    }

}

extension JSONWriter {
    fileprivate mutating func members(_ outcome: StorageWaiter.Outcome?) {
        guard let outcome else { return }
        member("stored", Int64(outcome.stored))
        member("duplicates", Int64(outcome.duplicates))
        if outcome.refused > 0 { member("deadLettered", Int64(outcome.refused)) }
        if outcome.erased > 0 { member("erased", Int64(outcome.erased)) }
        if outcome.pending > 0 { member("pending", Int64(outcome.pending)) }
    }
}
