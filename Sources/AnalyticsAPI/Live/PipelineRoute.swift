internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// The outcome of accepted events, per minute.
struct PipelineRoute: Sendable {
    let reader: PipelineReader
    let clock: WallClock
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    private static let defaultMinutes: Int64 = 60

    var routes: [Route] { [Route(.get, "/api/v1/pipeline", .read, pipeline)] }

    private func pipeline(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let minutes = try minutes(QueryParameters(request, allowed: ["from", "to"]).selection(of: principal.project))
        let balance = try await reader.balance(of: principal.project, minutes, for: context.asker)
        let lease = answers.lease(for: principal)
        try lease.hold(balance.size)
        let begin = JSONPart.once { writer in
            writer.member("project", principal.project.name)
            writer.members(of: balance)
        }
        let list = JSONPart.list("minutes", of: balance.minutes) { minute, writer in
            writer.beginObject()
            writer.member("minute", Timestamp(minute: minute.minute).rfc3339)
            writer.members(of: minute.counts, inFlight: minute.inFlight, uncounted: minute.uncounted)
            writer.endObject()
        }
        return .json(headers: [.cacheControl: "no-store"], capacity: 4_096, holding: lease, [begin] + list)
    }

    /// All minutes that the range touches, as whole minutes.
    private func minutes(_ range: Selection) throws(Problem) -> Range<Int64> {
        let now = clock.now()
        let end = range.to.map { Timestamp(milliseconds: $0.milliseconds - 1).minute + 1 } ?? now.minute + 1
        let first = range.from?.minute ?? end - Self.defaultMinutes
        guard first < end else { throw QueryParameters.invalid("from", "is later than now: nothing was accepted since.") }
        guard end - first <= PipelineReader.keptMinutes else {
            throw QueryParameters.invalid("from", "and 'to' may be 24 hours apart: counts of the pipeline are kept for as long.")
        }
        return first..<end
    }
}

extension JSONWriter {
    fileprivate mutating func members(of balance: PipelineBalance) {
        member("asOf", balance.asOf.rfc3339)
        member("from", Timestamp(minute: balance.range.lowerBound).rfc3339)
        member("to", Timestamp(minute: balance.range.upperBound).rfc3339)
        key("addsUp")
        boolean(balance.addsUp)
        member("missing", balance.missing)
        key("lagSeconds")
        double(balance.lag.seconds)
        key("total")
        beginObject()
        members(of: balance.total, inFlight: balance.inFlight, uncounted: balance.uncounted)
        endObject()
    }

    fileprivate mutating func members(of counts: PipelineCounts, inFlight: Int64, uncounted: Int64) {
        member("accepted", counts.accepted)
        member("stored", counts.stored)
        member("duplicates", counts.duplicates)
        member("deadLettered", counts.deadLettered)
        member("erased", counts.erased)
        member("inFlight", inFlight)
        member("redelivered", counts.redelivered)
        member("uncounted", uncounted)
        member("unconfirmed", counts.unconfirmed)
        key("rejected")
        beginObject()
        for (code, count) in counts.rejected.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where count > 0 {
            key(code.rawValue)
            integer(count)
        }
        endObject()
    }
}
