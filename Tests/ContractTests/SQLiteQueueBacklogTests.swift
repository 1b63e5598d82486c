import AnalyticsCore
import TestSupport
import Testing

@testable import AnalyticsEmbedded

/// By reference, for the sake of the test macros.
private final class Backlog {
    private var backlog: SQLiteQueueBacklog

    init(limits: SQLiteQueue.Limits) { backlog = SQLiteQueueBacklog(limits: limits) }

    var isFull: Bool { backlog.isFull }
    func hasRoom(messages: Int, bytes: Int) -> Bool { backlog.hasRoom(messages: messages, bytes: bytes) }
    func add(_ entry: SQLiteQueueBacklog.Entry) { backlog.add(entry) }
    func takeGroup() -> [SQLiteQueueBacklog.Entry] { backlog.takeGroup()?.entries ?? [] }
    func takeRows() -> [[UInt8]] { backlog.takeGroup()?.rows().map(\.body) ?? [] }
    func finishGroup() -> [SQLiteQueueBacklog.Entry] { backlog.finishGroup() }
    func expire() -> [SQLiteQueueBacklog.Entry] { backlog.expire() }
}

@Suite("SQLite queue: backlog")
struct SQLiteQueueBacklogTests {
    @Test("Publishes that wait share a transaction, up to its size, in their order and each whole")
    func groups() {
        var limits = SQLiteQueue.Limits()
        limits.groupMessages = 10
        limits.groupBytes = 100
        let backlog = Backlog(limits: limits)
        for (messages, bytes) in [(4, 1), (6, 2), (1, 3), (1, 97), (1, 1), (50, 4)] { backlog.add(entry(messages, bytes: bytes)) }
        #expect(backlog.takeGroup().map(\.bytes) == [1, 2])
        _ = backlog.finishGroup()
        #expect(backlog.takeGroup().map(\.bytes) == [3, 97])
        _ = backlog.finishGroup()
        #expect(backlog.takeGroup().map(\.bytes) == [1])
        _ = backlog.finishGroup()
        #expect(backlog.takeGroup().map(\.bytes) == [4])
        _ = backlog.finishGroup()
        #expect(backlog.takeGroup().isEmpty)
    }

    @Test("What is in a transaction takes room until it is answered")
    func keepsTheBound() {
        var limits = SQLiteQueue.Limits()
        limits.pendingMessages = 5
        limits.pendingBytes = 100
        let backlog = Backlog(limits: limits)
        backlog.add(entry(5, bytes: 10))
        #expect(backlog.isFull)
        #expect(backlog.takeGroup().count == 1)
        #expect(!backlog.hasRoom(messages: 1, bytes: 0))
        #expect(backlog.finishGroup().count == 1)
        #expect(backlog.hasRoom(messages: 5, bytes: 100))
        #expect(!backlog.hasRoom(messages: 1, bytes: 101))
    }

    @Test("What has waited too long is answered then, and not again by its commit")
    func expires() {
        let backlog = Backlog(limits: SQLiteQueue.Limits())
        backlog.add(entry(1, bytes: 1))
        _ = backlog.takeGroup()
        backlog.add(entry(1, bytes: 2))
        #expect(backlog.expire().map(\.bytes) == [1, 2])
        #expect(backlog.finishGroup().isEmpty)
        #expect(backlog.takeGroup().isEmpty)
        let limits = SQLiteQueue.Limits()
        #expect(backlog.hasRoom(messages: limits.pendingMessages, bytes: limits.pendingBytes))
    }

    @Test("Small requests that wait together are one row; dead letters and large requests stay by themselves")
    func joins() throws {
        let backlog = Backlog(limits: SQLiteQueue.Limits())
        func add(_ text: String, _ queue: QueueName = .events, isJoinable: Bool = true) {
            let message = OutgoingMessage(body: Array(text.utf8), events: 1, isJoinable: isJoinable)
            backlog.add(.init(messages: [message], queue: queue, bytes: text.utf8.count) { _ in })
        }
        add("1")
        #expect(backlog.takeRows() == [Array("1".utf8)])
        _ = backlog.finishGroup()
        for text in ["1", "2", "3"] { add(text) }
        add("4", isJoinable: false)
        add("5")
        add("6", .deadLetters)
        add("7")
        let rows = backlog.takeRows().map { String(decoding: $0, as: UTF8.self) }
        #expect(rows == [#"{"v":2,"sections":[1,2,3]}"#, "4", "5", "6", "7"])
        #expect(backlog.finishGroup().count == 7)
    }

    private func entry(_ messages: Int, bytes: Int) -> SQLiteQueueBacklog.Entry {
        let message = OutgoingMessage(body: [], events: 1)
        return .init(messages: Array(repeating: message, count: messages), queue: .events, bytes: bytes) { _ in }
    }
}
