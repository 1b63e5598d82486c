import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsMongoDB

@Suite("Fuzzing: what a store gives back", .timeLimit(.minutes(60)))
struct StoredBytesFuzzTests {
    @Test("A bucket's table is refused, or read back as itself, and its sums are those of its groups")
    func tables() throws {
        try Fuzzer("group-table").run { input in
            let table = GroupTable(bytes: input)
            var tally = CountTally(CountQuery(Selection(project: "p")))
            guard let groups = try? table.groups() else {
                try Wrong.unless(
                    (try? tally.add(table, of: BucketSpan(tier: .hour, index: 0))) == nil || (try? tally.answer()) != nil,
                    "a table that is not read is added up")
                return false
            }
            let again = GroupTable(groups)
            if again != .overflow {
                try Wrong.unless(try again.groups().reduce(0) { $0 + $1.count } == groups.reduce(0) { $0 + $1.count }, "another total")
                try Wrong.unless(GroupTable(try again.groups()) == again, "what is read back is something else")
            }
            try tally.add(table, of: BucketSpan(tier: .hour, index: 0))
            try Wrong.unless(try tally.answer().total == groups.reduce(0) { $0 + $1.count }, "added up to something else")
            return true
        }
    }

    @Test("A bucket's table of receipt is refused, or read back as itself")
    func receivedTables() throws {
        let corpus = [[], [(20_513, 1)], [(20_513, 70_000), (20_514, 3), (20_600, 1 << 40)], [(-719_162, 1), (0, 2), (2_932_896, 9)]].map {
            (days: [(Int64, Int64)]) -> [UInt8] in
            var sums = ReceivedSums()
            for (day, events) in days { sums.add(events, on: day) }
            return sums.table?.bytes ?? []
        }
        try Fuzzer("received-table", corpus: corpus).run { input in
            guard let days = try? ReceivedTable(bytes: input).days() else { return false }
            var sums = ReceivedSums()
            sums.add(days)
            let again = sums.table
            try Wrong.unless(again != nil && again?.bytes.count ?? 0 <= input.count, "what is read cannot be written")
            try Wrong.unless(try again?.days().elementsEqual(days) { $0 == $1 } == true, "what is read back is something else")
            try Wrong.unless(days.allSatisfy { Timestamp(day: $0.day).isValid && $0.events > 0 }, "a day that is none")
            return true
        }
    }

    private static let fields: [RowField] = [.type, .source, .sessionId, RowField("data.plan")!]

    private static func chunks(rows: Int) -> [SegmentChunk] {
        var builder = RowsBuilder(day: 1, fields: fields, hasNames: true)
        for index in 0..<rows {
            builder.add(
                ScannedEvent(
                    timestamp: Timestamp(milliseconds: 86_400_000 + Int64(index) * 1_000), id: "\(index)", type: "t\(index % 3)",
                    source: "s",
                    userId: index.isMultiple(of: 3) ? nil : "u\(index % 5)",
                    values: [[.string("é"), .integer(Int64(index)), .double(0.5), .boolean(true), .null]]))
        }
        let rows = builder.rows()
        var writer = SegmentChunkWriter(columnCount: fields.count)
        for actor in rows.actors.indices { writer.add(rows, actor, rows.rows(of: actor)) }
        return writer.finish()
    }

    /// What stands before a seal, which every input gets anew.
    private static func unsealed(_ bytes: [UInt8]) -> [UInt8] { Array(bytes.dropLast(8)) }

    @Test("A segment's head is refused, or read back as itself")
    func segmentHeads() throws {
        var head = SegmentHead(day: 1)
        head.dayVersion = 7
        let corpus = (0..<4).map { number -> [UInt8] in
            let run = SegmentHead.Run(
                id: Int64(number) + 1, minutes: 3, fields: Self.fields, linkBlobs: number, chunks: Self.chunks(rows: 9).map(\.info))
            head.put(
                number == 2 ? nil : run, minutes: (0..<3).map { ($0 * 7 + number, 5) }, isTold: number != 2, at: Timestamp(milliseconds: 9))
            return Self.unsealed(head.encoded)
        }
        try Fuzzer("segment-head", corpus: corpus).run { input in
            guard let head = try? SegmentHead(day: 1, encoded: SegmentSeal.sealed(input)) else { return false }
            try Wrong.unless((try? SegmentHead(day: 1, encoded: head.encoded)) == head, "what is read back is something else")
            var plan = SegmentPlan(Timestamp(milliseconds: 86_400_000)..<Timestamp(milliseconds: 172_800_000), fields: [.type])
            plan.add(day: 1, version: 0, head: head, minutes: Array(repeating: 5, count: SegmentHead.minutesInDay))
            var other = head
            other.put(nil, minutes: [(1, 1)], at: Timestamp(milliseconds: 0))
            return true
        }
    }

    @Test("A blob of a segment is refused, or read as rows")
    func segmentBlobs() throws {
        let chunk = Self.chunks(rows: 40)[0]
        let parts = EventRows.Parts(hasTimes: true, hasNames: true, columns: Array(Self.fields.indices))
        let wanted = parts.blobs(of: chunk.info)
        // The first byte says which of the blobs it is.
        let corpus = chunk.blobs.map { blob in [UInt8(wanted.firstIndex(of: blob.part) ?? 0)] + Self.unsealed(blob.bytes) }
        let blobs = wanted.map { part in chunk.blobs.first { $0.part == part }?.bytes ?? [] }
        try Fuzzer("segment-blob", corpus: corpus).run { input in
            var blobs = blobs
            blobs[Int(input.first ?? 0) % blobs.count] = SegmentSeal.sealed(Array(input.dropFirst()))
            guard let rows = try? EventRows(day: 1, chunk: chunk.info, parts: parts, blobs: blobs) else { return false }
            for row in 0..<rows.count {
                for column in rows.columns { _ = try? column.entries.scalars(column.code(of: row)) }
            }
            for actor in rows.actors.indices { _ = try? rows.names?.name(actor) }
            return true
        }
    }

    @Test("Links of identities are refused, or read back as themselves")
    func links() throws {
        let links = (0..<5).map {
            IdentityLink(time: UInt32($0), anonymous: ActorKey(.anonymous, "\($0)"), user: BytewiseString("u\($0)é"))
        }
        try Fuzzer("segment-links", corpus: [Self.unsealed(IdentityLink.encode(links)), Self.unsealed(IdentityLink.encode([]))]).run {
            input in
            guard let links = try? IdentityLink.decode(SegmentSeal.sealed(input)) else { return false }
            try Wrong.unless((try? IdentityLink.decode(IdentityLink.encode(links))) == links, "what is read back is something else")
            return true
        }
    }

    @Test("A document of MongoDB's is refused, or read as an event, a bucket or a small record")
    func documents() throws {
        try Fuzzer("bson").run { input in
            try input.withUnsafeBytes { bytes in
                let view = BSONView(bytes)
                let event = StoredEvent(view)
                let bucket = Rollup(view, .hour)
                let record = Record(view)
                if let bucket {
                    _ = try? bucket.table.groups()
                    _ = try? bucket.received?.days()
                }
                if let record { try Wrong.unless(record.isValid, "a record that no store takes") }
                if event != nil { try Wrong.unless(view.each { _ in }, "an event out of a part of a document") }
                return event != nil || bucket != nil || record != nil
            }
        }
    }
}
