import AnalyticsJSON
import TestSupport

@testable import AnalyticsCore

func sample(
    _ id: String, type: String = "view", source: String = "web", at timestamp: Timestamp = noon, project: ProjectID = Project.default,
    data: String = "{}", ingestID: String? = nil
) -> Event {
    Event(
        project: project, id: id, type: type, source: source, timestamp: timestamp, clientTimestamp: timestamp,
        data: JSONText(normalised: data), receivedAt: noon, ingestID: ingestID ?? "r-\(id):0")
}

func stored(_ event: Event) -> StoredEvent { stored(event, isBot: false) }

func stored(_ event: Event, isBot: Bool) -> StoredEvent {
    StoredEvent(
        event: event, processedAt: event.receivedAt, context: isBot ? JSONText(normalised: #"{"device":"bot","bot":true}"#) : nil,
        fingerprint: event.fingerprint)
}

/// A message as the collector publishes it.
func message(_ events: [Event], request: String = "r", reportRequested: Bool = false) -> OutgoingMessage {
    var encoder = EnvelopeEncoder(request: request, origin: RequestOrigin(), reportRequested: reportRequested)
    for (index, event) in events.enumerated() { encoder.append(event, index: index) }
    let messages = encoder.finish()
    precondition(messages.count == 1, "more events than one message holds")
    return messages[0]
}

extension Counts {
    init(_ counts: [String: Int64]) {
        self = Counts(exact: counts.map { (BytewiseString($0.key), $0.value) }) ?? .none
    }
}

extension DeadLetter {
    init?(message: [UInt8]) {
        guard let letter = try? DeadLetterDecoder().decode(message) else { return nil }
        self = letter
    }

    /// The event in it, as a replay would read it.
    var event: Event? { (try? EnvelopeDecoder().decode(original))?.events.first }
}

/// What two events must have in common, byte by byte: Swift's `==` takes a composed and a decomposed é for the same.
func encoding(_ event: Event) -> [UInt8] { EnvelopeEncoder.single(event, origin: RequestOrigin()) }
