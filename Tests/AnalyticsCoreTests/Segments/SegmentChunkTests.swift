import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

/// Rows, and the bytes that stores keep of them.
struct SegmentChunkTests {
    private static let day: Int64 = 20_513
    private static let fields: [RowField] = [.type, .source, .sessionId, RowField("data.plan")!, RowField("context.none")!]

    /// In the order in which a scan gives them.
    private func events(_ random: inout Seeded, count: Int) -> [ScannedEvent] {
        let users: [String?] = [nil, "ann", "e\u{301}", "é", "", "a\u{0}b", String(repeating: "u", count: 200)]
        return (0..<count).map { index in
            let plan: [JSONScalar] = [
                [], [.null], [.string("pro")], [.string("é"), .integer(3), .string("é")], [.double(-0.0)], [.boolean(true)],
                [.integer(.min), .double(1e300)], [.string("v\(random.below(2_000))")],
            ].randomElement(using: &random)!
            return ScannedEvent(
                timestamp: Timestamp(day: Self.day) + .milliseconds(min(86_399_999, index * 86_400 / max(1, count / 1_000))),
                id: "e\(index)", type: "t\(random.below(300))", source: ["s", "", "e\u{301}"].randomElement(using: &random)!,
                userId: random.chance(50) ? users.randomElement(using: &random)! : "u\(random.below(5_000))",
                anonymousId: random.chance(30) ? "ann" : nil, sessionId: random.chance(20) ? "session \(random.below(50))" : nil,
                values: [plan, []])
        }
    }

    private func rows(_ events: [ScannedEvent]) -> EventRows {
        var builder = RowsBuilder(day: Self.day, fields: Self.fields, hasNames: true)
        for event in events { builder.add(event) }
        return builder.rows()
    }

    private func chunks(_ rows: EventRows) -> [SegmentChunk] {
        var writer = SegmentChunkWriter(columnCount: Self.fields.count)
        for actor in rows.actors.indices { writer.add(rows, actor, rows.rows(of: actor)) }
        return writer.finish()
    }

    private static let everything = EventRows.Parts(hasTimes: true, hasNames: true, columns: Array(fields.indices))

    private func read(
        _ chunk: SegmentChunk, _ parts: EventRows.Parts = everything, edit: (Int, inout [UInt8]) -> Void = { _, _ in }
    ) throws -> EventRows {
        let blobs = parts.blobs(of: chunk.info).enumerated().map { index, part in
            var bytes = chunk.blobs.first { $0.part == part }?.bytes ?? []
            edit(index, &bytes)
            return bytes
        }
        return try EventRows(day: Self.day, chunk: chunk.info, parts: parts, blobs: blobs)
    }

    /// What a row says: all that is known of its event.
    private func texts(_ rows: EventRows) throws -> [String] {
        try rows.actors.indices.flatMap { actor in
            try rows.rows(of: actor).map { row in
                let values = try rows.columns.map { column in try column.entries.scalars(column.code(of: row)) }
                return "\(rows.actors[actor]) \(String(describing: try rows.names?.name(actor))) \(rows.times[row]) \(values)"
            }
        }
    }

    @Test(arguments: [0, 1, 2, 500, 17_000] as [Int])
    func whatIsWrittenIsRead(count: Int) throws {
        var random = Seeded(UInt64(count))
        let events = events(&random, count: count)
        let rows = rows(events)
        let chunks = chunks(rows)
        #expect(rows.count == count && chunks.reduce(0) { $0 + Int($1.info.rows) } == count)
        #expect(count < SegmentChunk.rowLimit || chunks.count > count / SegmentChunk.rowLimit)
        #expect(chunks.allSatisfy { chunk in chunk.blobs.allSatisfy { $0.bytes.count <= 1 << 20 } })
        let read = try chunks.flatMap { try texts(self.read($0)) }
        let expected = try texts(rows)
        #expect(read.count == expected.count && zip(read, expected).allSatisfy { $0.utf8.elementsEqual($1.utf8) })
        // Each event once, those of an actor in their order.
        let names = events.map { event in
            (event, event.userId.map { ActorName(.user, $0) } ?? event.anonymousId.map { ActorName(.anonymous, $0) })
        }
        let byActor = Dictionary(grouping: names, by: { $0.1 })
        for (name, own) in byActor {
            let actor = try #require(rows.actors.firstIndex(of: name?.key ?? .none))
            #expect(try rows.names?.name(actor) == name)
            let times = rows.rows(of: actor).map { rows.times[$0] }
            #expect(times == own.map { UInt32(($0.0.timestamp - Timestamp(day: Self.day)).milliseconds) })
            let types = try rows.rows(of: actor).map { try rows.columns[0].entries.scalars(rows.columns[0].code(of: $0)) }
            #expect(types == own.map { [.string($0.0.type)] })
        }
    }

    @Test func aChunkIsReadInParts() throws {
        var random = Seeded(5)
        let chunk = try #require(chunks(rows(events(&random, count: 300))).first)
        let all = try read(chunk)
        let part = try read(chunk, .init(hasTimes: false, hasNames: false, columns: [3, 4]))
        #expect(part.times.isEmpty && part.names == nil && part.actors == all.actors && part.starts == all.starts)
        #expect(part.columns[0].codes == all.columns[3].codes && part.columns[0].entries == all.columns[3].entries)
        // Of a column without any value there is no blob.
        #expect(part.columns[1].codes.isEmpty && !chunk.blobs.contains { $0.part == .column(4) })
    }

    @Test func damagedBytesAreRefused() throws {
        var random = Seeded(6)
        let chunk = try #require(chunks(rows(events(&random, count: 200))).first)
        for index in Self.everything.blobs(of: chunk.info).indices {
            #expect(throws: GroupTable.Unreadable.damaged) { try read(chunk) { if $0 == index { $1 = [] } } }
            #expect(throws: GroupTable.Unreadable.damaged) { try read(chunk) { if $0 == index { $1.append(0) } } }
            #expect(throws: GroupTable.Unreadable.damaged) { try read(chunk) { if $0 == index { $1[0] = 9 } } }
            for length in stride(from: 1, to: 200, by: 7) {
                #expect(throws: GroupTable.Unreadable.damaged) {
                    try read(chunk) { if $0 == index, $1.count > length { $1.removeLast(length) } else if $0 == index { $1 = [] } }
                }
            }
        }
        // Every changed bit is noticed.
        for seed in 0..<200 as Range<UInt64> {
            var random = Seeded(seed)
            let (blob, bit) = (random.below(chunk.blobs.count), UInt8(1) << UInt8(random.below(8)))
            #expect(throws: GroupTable.Unreadable.damaged) { try read(chunk) { if $0 == blob { $1[random.below($1.count)] ^= bit } } }
        }
        // Bytes that bear the right seal may still say anything: reading ends with rows or with the error.
        for seed in 0..<500 as Range<UInt64> {
            var random = Seeded(seed)
            let (blob, byte) = (random.below(chunk.blobs.count), UInt8(random.below(256)))
            do {
                let rows = try read(chunk) { index, bytes in
                    guard index == blob else { return }
                    bytes.removeLast(8)
                    bytes[random.below(min(bytes.count, 400))] = byte
                    bytes = SegmentSeal.sealed(bytes)
                }
                _ = try texts(rows)
            } catch let error as GroupTable.Unreadable {
                #expect(error == .damaged)
            }
        }
    }

    @Test func aHeadIsReadAgainOrRefused() throws {
        var random = Seeded(8)
        var head = SegmentHead(day: Self.day)
        head.dayVersion = 1 << 39
        for number in 0..<5 {
            var chunks: [SegmentHead.Chunk] = []
            for first in (0..<random.below(4)).map({ UInt64($0) << 60 }) {
                chunks.append(
                    .init(first: ActorKey(high: first, low: .random(in: 0 ... .max, using: &random)), rows: 7, columns: random.next()))
            }
            let minutes = (0..<40).map { _ in (minute: random.below(1_440), version: Int64(1 + random.below(1 << 20))) }
            let fields = number == 3 ? Self.fields : SegmentFields.standard
            let run = SegmentHead.Run(id: Int64(1 + number) << 50, minutes: 40, fields: fields, linkBlobs: number, chunks: chunks)
            head.put(number == 2 ? nil : run, minutes: minutes, at: noon)
        }
        head.leftovers.append(.init(run: 77, since: noon, isBegun: true))
        #expect(try SegmentHead(day: Self.day, encoded: head.encoded) == head)
        let bytes = head.encoded
        for length in stride(from: 0, to: bytes.count, by: 23) {
            #expect(throws: GroupTable.Unreadable.self) { try SegmentHead(day: Self.day, encoded: Array(bytes.prefix(length))) }
        }
        for place in stride(from: 0, to: bytes.count, by: 17) {
            var changed = bytes
            changed[place] ^= UInt8(1 + random.below(255))
            #expect(throws: GroupTable.Unreadable.self) { try SegmentHead(day: Self.day, encoded: changed) }
            // With the right seal it may say anything, and is used as it is or refused.
            guard place < bytes.count - 8 else { continue }
            let sealed = SegmentSeal.sealed(Array(changed.dropLast(8)))
            if var other = try? SegmentHead(day: Self.day, encoded: sealed) {
                other.put(nil, minutes: [(0, 1)], at: noon)
                _ = other.encoded
            }
        }
    }

    @Test func aRunWithoutMinutesIsLeftOver() {
        func run(_ id: Int64) -> SegmentHead.Run { .init(id: id, minutes: 2, fields: Self.fields, linkBlobs: 0, chunks: []) }
        var head = SegmentHead(day: Self.day)
        head.put(run(1), minutes: [(1, 5), (2, 5)], at: noon)
        head.put(run(2), minutes: [(2, 6), (3, 6)], at: noon)
        #expect(head.builds.map(\.id) == [1, 2] && head.leftovers.isEmpty && head.minutes(of: 1) == [2, 3])
        head.put(nil, minutes: [(1, 7)], at: noon + .seconds(1))
        #expect(head.builds.map(\.id) == [2] && head.minutes(of: 0) == [2, 3] && head.runs[1] == -1 && head.versions[1] == 7)
        #expect(head.leftovers == [.init(run: 1, since: noon + .seconds(1), isBegun: false)])
    }

    @Test func linksThatCanDecideAreKept() throws {
        var random = Seeded(9)
        for _ in 0..<40 {
            let links = (0..<random.below(60)).map { _ in
                IdentityLink(
                    time: UInt32(random.below(4) * 60_000 + random.below(3)), anonymous: ActorKey(.anonymous, "a\(random.below(3))"),
                    user: BytewiseString(["ann", "é", "e\u{301}", ""][random.below(4)]))
            }
            let kept = IdentityLink.decisive(links)
            #expect(kept.count <= 12)
            // Whichever minutes are read.
            for minutes in [Set(0..<4), [1, 3], [random.below(4)]] {
                let (few, all) = (kept.filter { minutes.contains($0.minute) }, links.filter { minutes.contains($0.minute) })
                #expect(IdentityMap([(1, few)]).users == IdentityMap([(1, all)]).users)
                #expect(IdentityMap([(1, few.shuffled())]).digest == IdentityMap([(1, all.shuffled())]).digest)
            }
            #expect(try IdentityLink.blobs(kept).flatMap { try IdentityLink.decode($0) } == kept)
        }
        let many = (0..<30_000).map {
            IdentityLink(time: UInt32($0), anonymous: ActorKey(.anonymous, "\($0)"), user: BytewiseString("u\($0)"))
        }
        let blobs = IdentityLink.blobs(many)
        #expect(blobs.count > 1 && blobs.allSatisfy { $0.count < 1 << 20 })
        #expect(try blobs.flatMap { try IdentityLink.decode($0) } == many)
    }

    @Test func anActorWithManyRowsLiesInSeveralChunks() throws {
        var builder = RowsBuilder(day: Self.day, fields: [RowField("data.x")!], hasNames: true)
        for index in 0..<20 {
            let values = (0..<60_000).map { JSONScalar.integer(Int64($0 * index)) }
            builder.add(
                ScannedEvent(
                    timestamp: Timestamp(day: Self.day) + .milliseconds(index), id: "\(index)", type: "t", source: "s", userId: "u",
                    values: [values]))
        }
        let rows = builder.rows()
        var writer = SegmentChunkWriter(columnCount: 1)
        writer.add(rows, 0, 0..<20)
        let chunks = writer.finish()
        #expect(chunks.count == 20 && chunks.allSatisfy { $0.info.first == rows.actors[0] })
    }

    @Test func keysOfActorsAreThoseOfTheirKindAndBytes() {
        #expect(ActorKey(.user, "a") != ActorKey(.anonymous, "a") && ActorKey(.user, "é") != ActorKey(.user, "e\u{301}"))
        #expect(ActorKey(.user, "a") == ActorKey(.user, "a") && ActorKey(.user, "") > .none)
    }
}
