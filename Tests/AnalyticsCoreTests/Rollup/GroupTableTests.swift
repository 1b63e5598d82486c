import TestSupport
import Testing

@testable import AnalyticsCore

struct GroupTableTests {
    private func group(_ type: String, _ source: String, _ count: Int64) -> RollupGroup {
        RollupGroup(type: type, source: source, count: count)
    }

    /// A few thousand groups of odd names, each pair once.
    private func drawn(_ random: inout Seeded, _ count: Int, hasQuarters: Bool) -> [RollupGroup] {
        let share = [0, 30, 100].randomElement(using: &random)!
        let names = ["", "a", "a\u{0}", "\u{E9}", "e\u{301}", "__other__", "😀", String(repeating: "x", count: 300)]
        return (0..<count).map { index in
            let quarters = hasQuarters ? (0..<4).map { _ in Int64(random.below(1 << 30)) << Int64(random.below(10)) } : []
            let count = hasQuarters ? quarters.reduce(0, +) : Int64(random.below(1 << 40))
            let bots = random.chance(share) ? (hasQuarters ? quarters : [count]).map { $0 / Int64(1 + random.below(3)) } : []
            return RollupGroup(
                type: names[index % names.count] + String(index / 40), source: names[index / 8 % 5], count: count, quarters: quarters,
                bots: bots.allSatisfy { $0 == 0 } ? [] : bots)
        }
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func groupsAreReadBackInTheOrderOfTheirBytes(seed: UInt64) throws {
        var random = Seeded(seed)
        let groups = drawn(&random, [1, 8, 500, 5_000][random.below(4)], hasQuarters: seed.isMultiple(of: 2))
        let table = GroupTable(groups)
        let ordered = groups.sorted { a, b in
            BytewiseString(a.type) == BytewiseString(b.type)
                ? BytewiseString(a.source) < BytewiseString(b.source) : BytewiseString(a.type) < BytewiseString(b.type)
        }
        let back = try table.groups()
        #expect(back == ordered)
        #expect(GroupTable(groups.shuffled(using: &random)) == table, "the same groups are the same bytes")
        #expect(table.bytes[0] == (groups.allSatisfy(\.bots.isEmpty) ? 2 : 3), "as earlier versions wrote it where no event is of a bot")
        #expect(try table.total() == groups.reduce(0) { $0 + $1.count })
        for end in 1..<min(table.bytes.count, 300) {
            #expect(throws: GroupTable.Unreadable.damaged) { try GroupTable(bytes: Array(table.bytes.prefix(end))).groups() }
        }
        #expect(throws: GroupTable.Unreadable.damaged) { try GroupTable(bytes: table.bytes + [0]).groups() }
    }

    @Test func moreBotsThanEventsAreDamage() throws {
        func table(_ bots: UInt8) -> GroupTable {
            GroupTable(bytes: [3, 0, 6, 1, 4] + Array("view".utf8) + [5, 1, 3] + Array("web".utf8) + [1, 0, 5, bots])
        }
        #expect(try table(2).groups() == [RollupGroup(type: "view", source: "web", count: 5, bots: [2])])
        #expect(GroupTable(try table(2).groups()) == table(2))
        #expect(throws: GroupTable.Unreadable.damaged) { try table(6).groups() }
    }

    @Test func anHourHasTheBotsOfItsMinutesByQuarters() throws {
        var sums = GroupSums(hasQuarters: true)
        for (quarter, bots) in [(0, []), (2, [3]), (2, [1]), (3, [])] as [(Int, [Int64])] {
            sums.add(GroupTable([RollupGroup(type: "a", source: "s", count: 4, bots: bots), group("b", "s", 1)]), quarter: quarter)
        }
        #expect(
            try sums.table.groups() == [
                RollupGroup(type: "a", source: "s", count: 16, quarters: [4, 0, 8, 4], bots: [0, 0, 4, 0]),
                RollupGroup(type: "b", source: "s", count: 4, quarters: [1, 0, 2, 1]),
            ])
    }

    @Test func noEventsAreNoBytes() throws {
        #expect(GroupTable([]) == .empty && GroupTable.empty.bytes == [])
        #expect(try GroupTable.empty.groups() == [])
    }

    @Test func whatOutgrowsATableIsAnOverflow() {
        let long = String(repeating: "x", count: 200)
        let fits = (0..<20_000).map { group("\($0)\(long)", "s", 1) }
        #expect(GroupTable(fits) != .overflow)
        #expect(GroupTable((0..<40_000).map { group("\($0)\(long)", "s", 1) }) == .overflow)
        #expect(throws: GroupTable.Unreadable.overflow) { try GroupTable.overflow.groups() }
        // Whoever sums it does not know either.
        var sums = GroupSums(hasQuarters: true)
        sums.add(GroupTable([group("a", "s", 1)]), quarter: 0)
        sums.add(.overflow, quarter: 1)
        sums.add(GroupTable([group("a", "s", 1)]), quarter: 2)
        #expect(sums.table == .overflow)
    }

    /// Format 1 as SQLite kept it, and the array that MongoDB did.
    @Test func groupsOfEarlierVersionsAreReadWhereNothingWasLost() throws {
        var bytes: [UInt8] = [1]
        for (type, source) in [("view", "web"), ("é", "")] {
            for text in [type, source] { bytes += [UInt8(text.utf8.count)] + Array(text.utf8) }
            bytes += [0xAC, 2, 4, 1, 2, 3, 0xA6, 2]
        }
        let expected = [("view", "web"), ("é", "")].map { RollupGroup(type: $0, source: $1, count: 300, quarters: [1, 2, 3, 294]) }
        for table in [GroupTable(bytes: bytes), GroupTable(earlier: expected)] {
            #expect(try table.groups() == expected)
            #expect(try table.total() == 600)
            var sums = GroupSums(hasQuarters: true)
            sums.add(table, quarter: 3)
            #expect(try sums.table.groups().map(\.quarters) == [[0, 0, 0, 300], [0, 0, 0, 300]])
        }
        for end in 1..<bytes.count where end != 18 {
            #expect(throws: GroupTable.Unreadable.damaged) { try GroupTable(bytes: Array(bytes.prefix(end))).groups() }
        }
    }

    @Test func groupsOfEarlierVersionsThatMayBeFoldedAreAnOverflow() throws {
        let other = group("__other__", "__other__", 501)
        for (count, others, isFolded) in [(999, 1, true), (998, 1, true), (997, 1, false), (1_000, 0, false)] {
            let groups = (0..<count).map { group("t\($0)", "s", 1) } + Array(repeating: other, count: others)
            let table = GroupTable(earlier: groups)
            #expect((try? table.groups()) == (isFolded ? nil : groups))
            #expect(try table.total() == Int64(count + 501 * others), "what was folded is still counted")
        }
    }

    /// A tally of tables is that of their groups, whatever is asked for.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func aTallyAddsUpWhatItsQuerySelects(seed: UInt64) throws {
        var random = Seeded(seed)
        let minutes = (0..<5).map { _ in drawn(&random, random.below(300), hasQuarters: random.chance(50)) }
        var query = CountQuery(project: "p", grouping: random.chance(50) ? .type : .source, limit: 1 + random.below(50))
        if random.chance(50) { query.types = (0..<random.below(9)).map { _ in "\u{E9}\(random.below(4))" } }
        if random.chance(50) { query.sources = ["", "e\u{301}", "none"] }
        query.includesBots = random.chance(50)
        var tally = CountTally(query)
        var sums: [BytewiseString: Int64] = [:]
        for groups in minutes {
            // Earlier versions told nothing of bots.
            let isEarlier = random.chance(30)
            try tally.add(isEarlier ? GroupTable(earlier: groups) : GroupTable(groups), of: BucketSpan(tier: .hour, index: 0))
            for group in groups
            where query.types.isEmpty || query.types.contains(where: { BytewiseString($0) == BytewiseString(group.type) }) {
                guard query.sources.isEmpty || query.sources.contains(where: { BytewiseString($0) == BytewiseString(group.source) }) else {
                    continue
                }
                sums[BytewiseString(query.grouping == .type ? group.type : group.source), default: 0] +=
                    group.count - (query.includesBots || isEarlier ? 0 : group.bots.reduce(0, +))
            }
        }
        let expected = Counts(exact: sums.filter { $0.value > 0 }.map { ($0, $1) }, limit: query.limit)
        #expect(try tally.answer() == expected)
    }

    @Test func aTallyThatHoldsTooMuchSaysSo() {
        var tally = CountTally(CountQuery(project: "p"))
        let long = String(repeating: "x", count: 1_000)
        var count = 0
        while count < 1_000_000, tally.add(EventCount(minute: 0, type: "\(count)\(long)", source: "s", count: 1), from: noon) { count += 1 }
        #expect(count < CountTally.byteLimit / 1_000)
        #expect(throws: QueryTooLargeError(.tooManyGroups)) { try tally.answer() }
    }
}

struct MinuteTablesTests {
    @Test func itStopsBehindAMinuteAndSaysWhereToGoOn() throws {
        for limit in [0, 1, 100] {
            var tables = MinuteTables(byteLimit: limit)
            let rows = (0..<15).map { EventCount(minute: Int64($0 / 3), type: "t\($0 % 3)", source: "s", count: 1) }
            for row in rows { guard tables.add(row) else { break } }
            tables.finish()
            let next = try #require(tables.next)
            #expect(next == (limit < 100 ? 1 : 2))
            #expect(tables.tables.count == Int(next))
            for table in tables.tables.values { #expect(try table.groups().count == 3) }
        }
    }

    @Test func minutesThatAreNotWantedAreNotHeld() {
        var tables = MinuteTables(of: [1], byteLimit: 1)
        for minute in 0..<2 as Range<Int64> { _ = tables.add(EventCount(minute: minute, type: "t", source: "s", count: 1)) }
        tables.finish()
        #expect(Array(tables.tables.keys) == [1] && tables.next == nil)
    }
}
