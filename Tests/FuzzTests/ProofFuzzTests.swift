import TestSupport
import Testing

@testable import AnalyticsCore

@Suite("Fuzzing: proofs and journals", .timeLimit(.minutes(60)))
struct ProofFuzzTests {
    @Test("A proof is refused, or read back as itself")
    func proofs() throws {
        let key = Proof.newKey()
        let proof = Proof(
            project: "p", question: "/api/v1/events/counts?type=a", asOf: noon, answer: "0f", watermark: noon, identities: -1,
            zones: "2026a",
            ranges: [noon..<noon + .seconds(60)], days: [ProofDay(day: noon.day - 1, version: 7), ProofDay(day: noon.day, version: 9)],
            earlier: .init(count: 2, sum: -5))
        var whole = proof
        whole.days[1].minutes = (0..<SegmentHead.minutesInDay).map { $0 == 700 ? 300 : 0 }
        let corpus = [proof, whole].map { $0.text(ReadingRecord(), key: key) }
        try Fuzzer("proof", corpus: corpus).run { input in
            guard let read = try? Proof(unchecked: input) else { return false }
            let again = try Proof(text: read.text(ReadingRecord(), key: key), key: key)
            try Wrong.unless(again == read, "what is read back is something else")
            return true
        }
    }

    @Test("A journal is read back as itself, as far as it can be read")
    func journals() throws {
        let changes = (0..<3).map { number in
            BucketChange(
                from: Int64(number), to: Int64(number) + 300, difference: number == 1 ? nil : Int64(number) - 2, causes: [.late, .rebuild],
                at: noon, until: noon + .seconds(number))
        }
        try Fuzzer("journal", corpus: [BucketHistory.encoded(changes), BucketHistory.encoded([changes[1]])]).run { input in
            let read = BucketHistory.changes(encoded: input)
            try Wrong.unless(read.count <= BucketHistory.limit, "more than a journal holds")
            try Wrong.unless(BucketHistory.changes(encoded: BucketHistory.encoded(read)) == read, "what is read back is something else")
            var history = BucketHistory(
                key: BucketKey(project: "p", index: 0), version: .max, done: 0, causes: .late, changes: read)
            history.roll(RolledBucket(key: history.key, version: .max, table: .empty, events: 1 << 40, at: noon))
            return !read.isEmpty
        }
    }
}
