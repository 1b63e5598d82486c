internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// What callers are told about the events that they sent. Pure.
enum CollectAnswer {
    static func single(_ event: AcceptedEvent, _ outcome: StoredWait.Outcome?) -> Response {
        let status =
            switch outcome {
            case let outcome? where outcome.stored > 0: "stored"
            case let outcome? where outcome.duplicates > 0: "duplicate"
            case let outcome? where outcome.refused > 0: "dead_lettered"
            default: "accepted"
            }
        return .json(outcome?.pending == 0 ? .ok : .accepted) { writer in
            writer.member("id", event.id)
            writer.member("status", status)
            writer.members(outcome)
        }
    }

    static func batch(_ result: SubmissionResult, _ outcome: StoredWait.Outcome?) -> Response {
        .json(outcome?.pending == 0 ? .ok : .accepted, capacity: 128 + result.rejected.first.count * 160) { writer in
            writer.member("accepted", Int64(result.accepted.count))
            writer.members(outcome)
            writer.members(result.rejected)
        }
    }

    /// In a batch's own shape, and a problem's.
    static func allRejected(_ result: SubmissionResult) -> Problem {
        let count = result.rejected.count
        return Problem(.eventsRejected, "None of the \(count) events was accepted; 'rejected' says why. Correct them before sending again.")
        {
            $0.member("accepted", 0)
            $0.members(result.rejected)
        }
    }

    static func unconfirmed(_ event: AcceptedEvent, reason: String?) -> Problem {
        Problem(.brokerUnavailable, "The event is not accepted: \(why(reason)). Send it again with this id; that is safe.") {
            $0.member("id", event.id)
        }
    }

    /// Says which events are in, which can never be, and which are to be sent again.
    static func unconfirmed(_ result: SubmissionResult) -> Problem {
        let detail =
            "\(result.accepted.count) events are accepted, \(result.unconfirmed.count) are not: \(why(result.unconfirmedReason)). "
            + "Send those under 'retry' again, with these ids; sending the whole batch again is as safe where its events have ids."
        return Problem(.brokerUnavailable, detail) { writer in
            writer.member("accepted", Int64(result.accepted.count))
            writer.members(result.rejected)
            writer.key("retry")
            writer.beginArray()
            for event in result.unconfirmed {
                writer.beginObject()
                writer.member("index", Int64(event.index))
                writer.member("id", event.id)
                writer.endObject()
            }
            writer.endArray()
        }
    }

    private static func why(_ reason: String?) -> String { (reason ?? "the broker has not confirmed it").clipped }
}

extension JSONWriter {
    fileprivate mutating func members(_ outcome: StoredWait.Outcome?) {
        guard let outcome else { return }
        member("stored", Int64(outcome.stored))
        member("duplicates", Int64(outcome.duplicates))
        if outcome.refused > 0 { member("deadLettered", Int64(outcome.refused)) }
        if outcome.pending > 0 { member("pending", Int64(outcome.pending)) }
    }

    fileprivate mutating func members(_ rejected: Rejections) {
        if rejected.count > rejected.first.count { member("rejectedCount", Int64(rejected.count)) }
        key("rejected")
        beginArray()
        for rejection in rejected.first {
            beginObject()
            member("index", Int64(rejection.index))
            member("id", rejection.id)
            member("field", rejection.field?.clipped)
            member("code", rejection.code.rawValue)
            member("message", rejection.message.clipped)
            endObject()
        }
        endArray()
    }
}
