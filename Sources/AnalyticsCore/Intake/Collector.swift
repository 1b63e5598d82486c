internal import AnalyticsJSON
internal import CoreMetrics

/// Ingest: decode → validate → stamp → take from the project's rate → publish, then wait for the broker's confirm.
public struct Collector: Sendable {
    private let publisher: any EventPublisher
    private let limits: EventLimits
    private let horizons: IngestHorizons
    private let visitors: VisitorIdentifier?
    private let ledger: PipelineLedger?
    private let rates: RateLimiter?
    private let clock: WallClock
    private let ids: IDGenerator

    /// - Parameters:
    ///   - visitors: `nil` if no project has visitor ids.
    ///   - ledger: Counts accepted, unconfirmed and rejected events; `nil` for no counts.
    ///   - rates: `nil` if no project has a rate of events.
    public init(
        publisher: any EventPublisher, limits: EventLimits, horizons: IngestHorizons, visitors: VisitorIdentifier? = nil,
        ledger: PipelineLedger? = nil, rates: RateLimiter? = nil, clock: WallClock, ids: IDGenerator
    ) {
        self.publisher = publisher
        self.limits = limits
        self.horizons = horizons
        self.visitors = visitors
        self.ledger = ledger
        self.rates = rates
        self.clock = clock
        self.ids = ids
        EventMetrics.prepareDoor()
    }

    /// Ingests the events of a request. An event is in `accepted` only after the broker has confirmed that it is stored durably.
    ///
    /// Throws an ``IngestError`` if the body is not a list of events, or the project's rate does not allow so many; then no event is
    /// accepted.
    public func submit(_ request: IngestRequest) async throws(IngestError) -> SubmissionResult {
        let stamp = EventDecoder.Stamp(receivedAt: clock.now(), request: ids.next())
        let decoded = try await decode(request, stamp)
        EventMetrics.rejected(decoded.rejected)
        var result = SubmissionResult(request: stamp.request, rejected: decoded.rejected)
        defer { ledger?.add(result, of: request.project, at: stamp.receivedAt) }
        guard !decoded.events.isEmpty else { return result }

        let outcomes = await publisher.publish(decoded.messages, to: .events)
        var start = 0
        for (message, outcome) in zip(decoded.messages, outcomes) {
            let events = decoded.events[start..<start + message.events]
            start += message.events
            switch outcome {
            case .confirmed: result.accepted.append(contentsOf: events)
            case .unconfirmed(let reason):
                result.unconfirmed.append(contentsOf: events)
                result.unconfirmedReason = reason
            }
        }
        EventMetrics.accepted.increment(by: result.accepted.count)
        EventMetrics.unconfirmed.increment(by: result.unconfirmed.count)
        return result
    }

    private func decode(
        _ request: IngestRequest, _ stamp: EventDecoder.Stamp
    ) async throws(IngestError) -> (events: [AcceptedEvent], rejected: Rejections, messages: [OutgoingMessage]) {
        var decoder = EventDecoder(limits: limits, horizon: horizons.horizon(of: request.project), ids: ids)
        let output = try decoder.decode(request, stamp: stamp)
        // Rejected events count too: they cost as much.
        let count = output.events.count + output.rejected.count
        let rate = await rates?.takeEvents(count, bytes: request.size, of: request.project, key: request.limitedKey)
        if let rate, !rate.isAllowed { throw .rateExceeded(rate) }
        var encoder = EnvelopeEncoder(request: stamp.request, origin: request.origin, reportRequested: request.reportRequested)
        var events: [AcceptedEvent] = []
        events.reserveCapacity(output.events.count)
        let visits = visitors.flatMap { VisitorIds($0, of: request) }
        for (index, decoded) in output.events {
            var event = decoded
            visits?.identify(&event)
            encoder.append(event, index: index)
            events.append(AcceptedEvent(index: index, id: event.id))
        }
        return (events, output.rejected, encoder.finish())
    }
}

extension PipelineLedger {
    fileprivate func add(_ result: SubmissionResult, of project: ProjectID, at time: Timestamp) {
        let accepted = Int64(result.accepted.count)
        guard accepted > 0 || !result.unconfirmed.isEmpty || result.rejected.count > 0 else { return }
        change(Key(project: project, minute: time.minute)) { counts in
            counts.accepted += accepted
            counts.unconfirmed += Int64(result.unconfirmed.count)
            for (code, count) in result.rejected.counts { counts.rejected[code, default: 0] += Int64(count) }
            guard accepted > 0 else { return }
            counts.first = min(counts.first ?? time, time)
            counts.tens[PipelineCounts.slot(of: time)] += accepted
        }
    }
}

/// Assigns visitor ids to the events of one request. Not thread-safe.
private final class VisitorIds {
    private let visitors: VisitorIdentifier
    private let request: IngestRequest
    private var parser = JSONParser()

    /// `nil` if the project has no visitor ids.
    init?(_ visitors: VisitorIdentifier, of request: IngestRequest) {
        guard visitors.isOn(for: request.project) else { return nil }
        (self.visitors, self.request) = (visitors, request)
    }

    /// From the address and user agent in the event, which servers send for their visitors; otherwise from those of the request.
    func identify(_ event: inout Event) {
        guard event.userId == nil, event.anonymousId == nil else { return }
        let hints = ClientHints(event, origin: request.origin, parser: &parser)
        event.visitorId = visitors.id(
            project: event.project, address: hints.isOfRequest ? request.clientAddress : hints.ip.flatMap { ClientAddress($0) },
            isNamed: !hints.isOfRequest, userAgent: hints.userAgent, source: event.source, at: event.receivedAt)
    }
}
