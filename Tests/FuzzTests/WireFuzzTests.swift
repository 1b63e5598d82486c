import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite("Fuzzing: what comes over a wire as JSON", .timeLimit(.minutes(60)))
struct WireFuzzTests {
    @Test("A message is refused, or goes all the way to its buckets, and reads back as itself")
    func envelope() throws {
        let decoder = EnvelopeDecoder()
        var parser = JSONParser()
        try Fuzzer("envelope").run { input in
            let salvage = EnvelopeSalvage(input)
            guard let sections = try? decoder.sections(of: input) else { return false }
            try Wrong.unless(salvage.sections.count == sections.count, "requests that giving up does not find")
            for envelope in sections { try check(envelope, salvage, &parser) }
            return true
        }
    }

    private func check(_ envelope: EventEnvelope, _ salvage: EnvelopeSalvage, _ parser: inout JSONParser) throws {
        let decoder = EnvelopeDecoder()
        let enrichments = Enrichments.standard(keepClientAddress: false) + [Enrichments.clientAddress(keep: true), Enrichments.times]
        let bodies = envelope.encoded
        let again = try bodies.map { body in
            guard let envelope = try? decoder.decode(body) else { throw Wrong("what was written is not read") }
            return envelope
        }
        try Wrong.unless(again.flatMap(\.encoded) == bodies, "what is read back is something else")
        try Wrong.unless(again.allSatisfy { $0.requestToReport == envelope.requestToReport }, "who waits is someone else")
        var marks = BucketMarks()
        for event in envelope.events {
            let times = [event.timestamp, event.receivedAt] + [event.clientTimestamp].compactMap(\.self)
            try Wrong.unless(times.allSatisfy(\.isValid), "a time that no event can have")
            try Wrong.unless(event.ingestIDParts.index >= 0, "a position that no event can have")
            let hints = ClientHints(event, origin: envelope.origin, parser: &parser)
            var context = EventContext()
            for (number, enrichment) in enrichments.enumerated() {
                let processedAt = number % 2 == 0 ? Timestamp.earliest : .latest
                enrichment.apply(EnrichmentInput(event: event, processedAt: processedAt, hints: hints), &context)
                _ = max(.zero, processedAt - event.receivedAt).nanoseconds
            }
            _ = (context.json, event.fingerprint)
            marks.touch(
                StoredEvent(event: event, processedAt: event.receivedAt, context: context.json, fingerprint: event.fingerprint), .stored
            )
        }
        try Wrong.unless(Set(marks.minutes).isSubset(of: salvage.buckets), "a minute that giving up does not find")
        try Wrong.unless(marks.minutes.allSatisfy { RollupTier.minute.indexes.contains($0.index) }, "a minute that no event can have")
        try Wrong.unless(marks.hours.count <= marks.minutes.count && marks.days.count <= marks.hours.count, "buckets out of nothing")
    }

    @Test("A dead letter is refused, or reads back as itself")
    func deadLetter() throws {
        let decoder = DeadLetterDecoder()
        try Fuzzer("deadletter").run { input in
            guard let letter = try? decoder.decode(input) else { return false }
            let body = letter.message().body
            guard let again = try? decoder.decode(body) else { throw Wrong("what was written is not read") }
            try Wrong.unless(again == letter && again.message().body == body, "what is read back is something else")
            try Wrong.unless(letter.at.isValid && letter.attempts > 0, "numbers that no letter can have")
            let summary = DeadLetterSummary(QueuedDeadLetter(body: input, size: input.count, content: .success(letter)))
            try Wrong.unless(letter.reason.keepsMessage || summary.request == nil, "a whole delivery that is parsed")
            return true
        }
    }

    @Test("Counts out of the cache are refused, or read back as themselves")
    func counts() throws {
        try Fuzzer("counts").run { input in
            guard let counts = try? CountsCodec.decode(input) else { return false }
            let body = CountsCodec.encode(counts)
            guard let again = try? CountsCodec.decode(body) else { throw Wrong("what was written is not read") }
            try Wrong.unless(again == counts && CountsCodec.encode(again) == body, "what is read back is something else")
            try Wrong.unless(counts.total >= 0 && counts.groups.allSatisfy { $0.count >= 0 }, "less than nothing")
            return true
        }
    }

    @Test("A cached answer about sessions, a funnel or retention is refused, or is written as it was read")
    func answersAboutUsers() throws {
        let figures = Sessions.Figures(sessions: 2, users: 1, events: 5, bounces: 1, medianSeconds: 0.5, p90Seconds: 7)
        let sessions = Sessions(
            total: figures, buckets: [figures, .init()], entryPages: [.init(page: GroupKey("/é"), sessions: 2)], exitPages: [])
        let steps: [Funnel.Step] = [.init(users: 3), .init(users: 2, medianSeconds: 0, p90Seconds: 1.5)]
        let funnel = Funnel(steps: steps, groups: [.init(key: .null, steps: steps)], other: steps)
        let retention = UserRetention(cohorts: [.init(size: 3, values: [3, 0]), .init(size: 0, values: [0, 0])])
        try fuzz("sessions", SessionsCodec.self, sessions)
        try fuzz("funnel", FunnelCodec.self, funnel)
        try fuzz("retention", RetentionCodec.self, retention)
    }

    private func fuzz<Codec: AnswerCodec>(_ name: String, _ codec: Codec.Type, _ answer: Codec.Answer) throws
    where Codec.Answer: Equatable {
        try Fuzzer(name, corpus: [Codec.encode(answer)]).run { input in
            guard let answer = try? Codec.decode(input) else { return false }
            try Wrong.unless((try? Codec.decode(Codec.encode(answer))) == answer, "what is read back is something else")
            return true
        }
    }
}

extension EventEnvelope {
    /// As messages again, which need not be as many.
    fileprivate var encoded: [[UInt8]] {
        var encoder = EnvelopeEncoder(
            request: events.first?.ingestIDParts.request ?? "", origin: origin, reportRequested: requestToReport != nil)
        for event in events { encoder.append(event, index: event.ingestIDParts.index) }
        return encoder.finish().map(\.body)
    }
}
