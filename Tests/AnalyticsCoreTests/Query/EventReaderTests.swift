import AnalyticsJSON
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

struct EventReaderTests {
    private let store = MemoryStore()

    /// Events arrive, older and newer ones, between any two pages.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func pagesNeitherSkipNorRepeatWhatWasThereAtTheStart(seed: UInt64) async throws {
        var random = Seeded(seed)
        // Few different moments, so that many events share one.
        func insert(_ count: Int, _ prefix: String, _ random: inout Seeded) async throws {
            let events = (0..<count).map { sample("\(prefix)\($0) ä\(random.below(50))", at: noon + .milliseconds(random.below(8))) }
            _ = try await store.insert(events.map(stored))
        }
        try await insert(60, "start", &random)
        let start = Set(store.events.map(\.event.id))
        var seen: [String] = []
        var cursor: EventCursor?
        repeat {
            let page = try await EventReader(store: store, gate: QueryGate()).page(
                Selection(project: Project.default), after: cursor, limit: 1 + random.below(12))
            seen += page.events.map(\.event.id)
            // A caller carries it as text.
            cursor = page.next.flatMap { EventCursor($0.text) }
            #expect((cursor == nil) == (page.next == nil))
            try await insert(random.below(6), "later\(seen.count)-", &random)
        } while cursor != nil
        #expect(Set(seen).count == seen.count, "seed \(seed): repeated")
        #expect(start.isSubset(of: seen), "seed \(seed): skipped \(start.subtracting(seen))")
    }

    @Test func theLastPageHasNoCursor() async throws {
        let reader = EventReader(store: store, gate: QueryGate())
        let filter = Selection(project: Project.default)
        #expect(try await reader.page(filter, after: nil, limit: 3).next == nil)
        _ = try await store.insert((0..<6).map { stored(sample("e\($0)")) })
        let first = try await reader.page(filter, after: nil, limit: 3)
        #expect(first.events.map(\.event.id) == ["e5", "e4", "e3"] && first.next != nil)
        let second = try await reader.page(filter, after: first.next, limit: 3)
        #expect(second.events.map(\.event.id) == ["e2", "e1", "e0"] && second.next == nil)
    }

    @Test func aPageHoldsWhatItMayTakeBeforeItIsReadAndThenWhatItTakes() async throws {
        _ = try await store.insert((0..<6).map { stored(sample("e\($0)")) })
        let reader = EventReader(store: store, gate: QueryGate())
        let filter = Selection(project: Project.default)
        let held = Mutex<[Int]>([])
        let page = try await reader.page(filter, after: nil, limit: 5) { count in held.withLock { $0.append(count) } }
        #expect(page.events.count == 5)
        #expect(held.withLock { $0 } == [EventReader.pageBytes, store.events.reduce(0) { $0 + $1.size }])
        struct NoRoom: Error {}
        await #expect(throws: NoRoom.self) { try await reader.page(filter, after: nil, limit: 5) { _ in throw NoRoom() } }
    }

    @Test func aPageOfLargeEventsEndsSooner() async throws {
        let data = JSONText(normalised: "\"" + String(repeating: "x", count: EventReader.pageBytes / 4) + "\"")
        let events = (0..<10).map { index in
            var event = stored(sample("e\(index)"))
            event.event.data = data
            return event
        }
        _ = try await store.insert(events)
        let reader = EventReader(store: store, gate: QueryGate())
        var (sizes, ids, cursor) = ([Int](), [String](), nil as EventCursor?)
        repeat {
            let page = try await reader.page(Selection(project: Project.default), after: cursor, limit: 100)
            sizes.append(page.events.count)
            ids += page.events.map(\.event.id)
            cursor = page.next
        } while cursor != nil
        #expect(sizes == [4, 4, 2] && ids == (0..<10).reversed().map { "e\($0)" })
    }

    @Test(arguments: ["", "a", "with space", " 1 2 ", "ä😀", "e\u{301}", "a/b+c=", String(repeating: "x", count: 128)])
    func aCursorIsReadBackAndSafeInAURL(id: String) throws {
        for time in [Timestamp.earliest, .latest, Timestamp(milliseconds: -1), noon] {
            let cursor = EventCursor(position: EventPosition(timestamp: time, id: id))
            #expect(
                cursor.text.utf8.allSatisfy { byte in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8.contains(byte)
                })
            let read = try #require(EventCursor(cursor.text))
            #expect(read == cursor && Array(read.position.id.utf8) == Array(id.utf8))
        }
    }

    @Test(arguments: ["", "x", "%%%", "MQ", "MSAx", "MiAxIGE", "MSB4IGE", "////", "MSAxIGH_", "ä", "MSAxIGE=x", "null"])
    func whatIsNoCursorIsNone(text: String) {
        #expect(EventCursor(text) == nil)
    }
}

struct DataConditionTests {
    @Test(
        arguments: [
            ("42", [.integer(42)]), ("-7", [.integer(-7)]), ("42.0", [.double(42)]), ("1e3", [.double(1_000)]), ("-0.5", [.double(-0.5)]),
            ("99999999999999999999", [.double(1e20)]), ("true", [.boolean(true)]), ("false", [.boolean(false)]), ("null", [.null]),
            ("", []), ("abc", []), ("True", []), ("+1", []), ("0x10", []), ("01", []), ("-01", []), ("1.", []), (".5", []), ("1e400", []),
            ("nan", []), ("-inf", []), ("Infinity", []), ("1 ", []), (" 1", []), ("1,2", []), ("-", []), ("1e", []), ("1}", []),
            ("0b1", []),
        ] as [(String, [JSONScalar])])
    func aTextStandsForItselfAndForWhatJSONWritesSo(text: String, others: [JSONScalar]) {
        #expect(DataCondition.scalars(of: text) == [.string(text)] + others)
    }
}
