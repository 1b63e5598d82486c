import AnalyticsCore
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// How a count is cut into queries, and their rows put together; without a server.
@Suite("MongoDB store: counts in parts")
struct CountPlanTests {
    private static let minute: Int64 = 60_000

    /// Queries that a server answers which takes `limit` milliseconds of events at a time.
    private static func queries(_ ranges: [Range<Int64>], limit: Int64, quick: Double = 1) -> [CountPlan.Query]? {
        var plan = CountPlan(ranges)
        var answered: [CountPlan.Query] = []
        while let query = plan.next() {
            if query.reduce(0, { $0 + $1.upperBound - $1.lowerBound }) > limit {
                guard plan.halve(query) else { return nil }
            } else {
                answered.append(query)
                plan.answered(in: quick)
            }
        }
        return answered
    }

    @Test("what is within the limit is asked for in few queries")
    func few() {
        let ranges = (0..<1200).map { $0 * 2 * Self.minute..<($0 * 2 + 1) * Self.minute }
        #expect(Self.queries(ranges, limit: .max)?.map(\.count) == [500, 500, 200])
        #expect(Self.queries([], limit: .max) == [])
    }

    @Test("a long range is asked for alone, in its place")
    func long() {
        let lengths: [Int64] = [1, 2, 5, 1, 7, 8, 1, 1]
        let ranges = lengths.enumerated().map { Int64($0.offset) * 600_000..<Int64($0.offset) * 600_000 + $0.element * Self.minute }
        #expect(Self.queries(ranges, limit: .max)?.map(\.count) == [2, 1, 1, 1, 1, 2])
        #expect(Self.queries(ranges, limit: .max)?.flatMap { $0 } == ranges)
    }

    @Test("halves cover what the whole did, in its order, and end with minutes as long as they hold some")
    func halves() throws {
        var random = Seeded(7)
        for _ in 0..<40 {
            var (ranges, end): ([Range<Int64>], Int64) = ([], -3 * Self.minute)
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                let start = end + Int64.random(in: 1...200_000, using: &random)
                end = start + Int64.random(in: 1...2_000_000, using: &random)
                ranges.append(start..<end)
            }
            let limits: [Int64] = [20_000, 45_000, 60_000, 100_000, 1_000_000]
            let limit = limits[random.below(limits.count)]
            let quick = Double(random.below(2))
            let queries = try #require(Self.queries(ranges, limit: limit, quick: quick))
            let parts: [Range<Int64>] = queries.flatMap { $0 }
            #expect(Ranges.normalised(parts) == ranges)
            let starts = parts.map(\.lowerBound)
            #expect(starts == starts.sorted())
            guard limit >= Self.minute, quick == 1 else { continue }
            let ends = Set(ranges.map(\.upperBound))
            for query in queries {
                let end = query[query.count - 1].upperBound
                #expect(ends.contains(end) || end % Self.minute == 0)
            }
        }
    }

    @Test("what is halved is a minute before it is a part of one, and at last a millisecond, which is too much or not")
    func floor() {
        var plan = CountPlan([0..<100 * Self.minute])
        var lengths: [Int64] = []
        while let query = plan.next(), plan.halve(query) { lengths.append(query[0].upperBound - query[0].lowerBound) }
        let begun: [Int64] = [6_000_000, 3_000_000, 1_500_000, 720_000, 360_000, 180_000, 60_000, 30_000, 15_000]
        #expect(Array(lengths.prefix(9)) == begun)
        #expect(lengths.count == 21 && lengths.last == 3)
        #expect(Self.queries([0..<1000], limit: 0) == nil)
        #expect(Self.queries([0..<1000], limit: 1)?.count == 1000)
    }

    @Test("behind a minute that is slow, what is quick is cut less finely again; what is not, is not")
    func growth() {
        var plan = CountPlan([0..<1000 * Self.minute])
        var answered = 0
        while answered < 10_000, let query = plan.next() {
            if query[0].lowerBound < Self.minute, query.reduce(0, { $0 + $1.upperBound - $1.lowerBound }) > 1000 {
                guard plan.halve(query) else { break }
            } else {
                answered += 1
                plan.answered(in: 0.1)
            }
        }
        #expect((60..<120).contains(answered))
        #expect(Self.queries([0..<1000 * Self.minute], limit: Self.minute, quick: 1)?.count == 1000)
    }

    @Test("a query that failed in its midst goes on at the minute it had not ended")
    func resume() {
        var plan = CountPlan([0..<10 * Self.minute])
        let query = plan.next() ?? []
        let isHalved = plan.halve(query, from: 3 * Self.minute)
        let next = [plan.next(), plan.next()]
        #expect(isHalved && next == [[3 * Self.minute..<8 * Self.minute], [8 * Self.minute..<10 * Self.minute]])
    }

    @Test("queries of one range each; one that cannot be cut is asked for once more where it has come further")
    func single() {
        var plan = CountPlan([0..<1, 5..<9, 20..<21], alternatives: 1)
        let first = plan.next() ?? []
        let isHalved = plan.halve(first)
        plan.putBack(first)
        var queries: [CountPlan.Query] = []
        while let query = plan.next() { queries.append(query) }
        #expect(!isHalved && queries == [[0..<1], [5..<9], [20..<21]])
    }

    @Test("a range to the ends of time is cut as others are")
    func ends() {
        var plan = CountPlan([.min ..< .max], alternatives: 1)
        let whole = plan.next() ?? []
        let isHalved = plan.halve(whole)
        let half = plan.next() ?? []
        #expect(isHalved && whole == [.min ..< .max] && half.first?.lowerBound == .min && half.first?.upperBound ?? 0 < 0)
    }

    private struct Rows: CountReducer {
        var limit = Int.max
        var rows: [EventCount] = []
        var isFinished = false

        mutating func add(_ row: EventCount) -> Bool {
            rows.append(row)
            return rows.count < limit
        }

        mutating func finish() { isFinished = true }
    }

    private static func row(_ minute: Int64, _ type: String, _ source: String = "s", _ count: Int64 = 1, bots: Int64 = 0) -> EventCount {
        EventCount(minute: minute, type: type, source: source, count: count, bots: bots)
    }

    @Test("a minute that several queries count comes once, its groups in the order of their bytes")
    func split() {
        var minutes = WholeMinutes(Rows())
        let queries: [[EventCount]] = [
            [Self.row(1, "a"), Self.row(2, "b", bots: 1), Self.row(2, "e\u{301}")], [Self.row(2, "B"), Self.row(2, "b", "s", 4, bots: 2)],
            [],
            [Self.row(2, "b", "r"), Self.row(2, "\u{e9}"), Self.row(3, "a")],
        ]
        for rows in queries {
            minutes.begin()
            for row in rows {
                let takesMore = minutes.add(row)
                #expect(takesMore)
            }
        }
        let result = minutes.finish()
        #expect(result.isFinished)
        let second = [
            Self.row(2, "B"), Self.row(2, "b", "r"), Self.row(2, "b", "s", 5, bots: 3), Self.row(2, "e\u{301}"), Self.row(2, "\u{e9}"),
        ]
        let expected = [Self.row(1, "a")] + second + [Self.row(3, "a")]
        #expect(result.rows == expected)
        #expect(result.rows.map { Array($0.type.utf8) } == expected.map { Array($0.type.utf8) })
    }

    @Test("groups of a minute that several queries count are added up by the day of receipt")
    func splitByReceipt() {
        func row(_ count: Int64, _ day: Int64) -> EventCount {
            EventCount(minute: 1, type: "t", source: "s", count: count, bots: 1, received: day)
        }
        var minutes = WholeMinutes(Rows())
        for rows in [[row(1, 7), row(2, 9)], [row(3, 8), row(4, 9)]] {
            minutes.begin()
            for row in rows { _ = minutes.add(row) }
        }
        var last = row(6, 9)
        last.bots = 2
        #expect(minutes.finish().rows == [row(1, 7), row(3, 8), last])
    }

    @Test("what a query gave of its last minute before it failed is taken back, and nothing of those before")
    func failure() {
        var minutes = WholeMinutes(Rows())
        minutes.begin()
        _ = minutes.add(Self.row(1, "a"))
        minutes.begin()
        _ = minutes.add(Self.row(1, "b"))
        let atBeginning = minutes.fail()
        minutes.begin()
        for row in [Self.row(1, "b"), Self.row(2, "a"), Self.row(3, "a")] { _ = minutes.add(row) }
        let inMidst = minutes.fail()
        minutes.begin()
        let withoutRows = minutes.fail()
        #expect(atBeginning == nil && inMidst == Timestamp(minute: 3).milliseconds && withoutRows == nil)
        minutes.begin()
        _ = minutes.add(Self.row(3, "a"))
        let rows = minutes.finish().rows
        #expect(rows == [Self.row(1, "a"), Self.row(1, "b"), Self.row(2, "a"), Self.row(3, "a")])
    }

    @Test("a reducer that takes no more gets no more")
    func enough() {
        var minutes = WholeMinutes(Rows(limit: 2))
        minutes.begin()
        let taken = [Self.row(1, "a"), Self.row(1, "b"), Self.row(1, "c"), Self.row(2, "a"), Self.row(3, "a")].map { minutes.add($0) }
        #expect(taken == [true, true, true, false, false] && !minutes.takesMore)
        let rows = minutes.finish().rows
        #expect(rows.count == 2)
    }
}
