import AnalyticsCore
import Testing

@testable import AnalyticsEmbedded

@Suite("SQLite queue: ledger")
struct SQLiteQueueLedgerTests {
    @Test("Messages go out oldest first, in equal shares, and no more than the prefetch")
    func shares() {
        var ledger = SQLiteQueueLedger(ready: ids(1..<11))
        ledger.addConsumer(1, prefetch: 100)
        ledger.addConsumer(2, prefetch: 3)
        let settlement = ledger.nextSettlement(limit: 1000)
        #expect(settlement?.handouts == [.init(consumer: 1, ids: ids(1..<6)), .init(consumer: 2, ids: ids(6..<9))])
        #expect(settlement?.out == ids(1..<9))
        let second = ledger.nextSettlement(limit: 1000)
        #expect(second?.handouts == [.init(consumer: 1, ids: ids(9..<11))])
        let third = ledger.nextSettlement(limit: 1000)
        #expect(third == nil)
        #expect(ledger.readyCount == 0)
        #expect(ledger.outCount == 10)
    }

    @Test("One settlement hands out no more than its limit")
    func limits() {
        var ledger = SQLiteQueueLedger(ready: ids(1..<11))
        ledger.addConsumer(1, prefetch: 100)
        let settlement = ledger.nextSettlement(limit: 4)
        #expect(settlement?.out == ids(1..<5))
        let nothing = ledger.nextSettlement(limit: 0)
        #expect(nothing == nil)
    }

    @Test("Acknowledging frees places; unknown, foreign and repeated handles do nothing")
    func acknowledges() {
        var ledger = SQLiteQueueLedger(ready: ids(1..<5))
        ledger.addConsumer(1, prefetch: 2)
        ledger.addConsumer(2, prefetch: 1)
        _ = ledger.nextSettlement(limit: 1000)
        let handles: [(UInt64, UInt64)] = [(1, 2), (1, 2), (2, 1), (3, 1), (1, 9), (1, UInt64.max), (1, UInt64(Int64.max))]
        ledger.acknowledge(handles.map { DeliveryHandle(epoch: $0.0, tag: $0.1) })
        let settlement = ledger.nextSettlement(limit: 1000)
        #expect(settlement?.acknowledged == ids(2..<3))
        #expect(settlement?.handouts == [.init(consumer: 1, ids: ids(4..<5))])
        #expect(settlement?.out == ids(1..<2, 3..<5))
    }

    @Test("What a consumer leaves behind goes out again first, and is raised in the same settlement")
    func returns() {
        var ledger = SQLiteQueueLedger(ready: ids(1..<7))
        ledger.addConsumer(1, prefetch: 2)
        _ = ledger.nextSettlement(limit: 1000)
        ledger.removeConsumer(1)
        ledger.addConsumer(2, prefetch: 3)
        let settlement = ledger.nextSettlement(limit: 1000)
        #expect(settlement?.returned == ids(1..<3))
        #expect(settlement?.handouts == [.init(consumer: 2, ids: ids(1..<4))])
    }

    @Test("Whatever happens in which order, each message is waiting, out with one consumer, or acknowledged", arguments: 0..<200)
    func neverLosesAnything(_ seed: Int) {
        var random = SplitMix(state: UInt64(seed))
        var ledger = SQLiteQueueLedger(ready: ids())
        var file: [Int64: Int] = [:]  // id → redeliveries
        var held: [UInt64: [Int64]] = [:]
        var handedOut: [Int64: Int] = [:]
        var nextConsumer: UInt64 = 1
        for _ in 0..<300 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3:
                let count = Int.random(in: 1...20, using: &random)
                for id in ledger.nextID..<ledger.nextID + Int64(count) { file[id] = 0 }
                ledger.append(count)
            case 3:
                ledger.addConsumer(nextConsumer, prefetch: Int.random(in: 1...15, using: &random))
                held[nextConsumer] = []
                nextConsumer += 1
            case 4:
                guard let gone = held.keys.sorted().randomElement(using: &random) else { continue }
                held[gone] = nil
                ledger.removeConsumer(gone)
            case 5..<7:
                guard let consumer = held.keys.sorted().randomElement(using: &random) else { continue }
                let done = (held[consumer] ?? []).filter { _ in Bool.random(using: &random) }
                held[consumer]?.removeAll { done.contains($0) }
                ledger.acknowledge(done.map { DeliveryHandle(epoch: consumer, tag: UInt64($0)) })
            default:
                guard let settlement = ledger.nextSettlement(limit: Int.random(in: 1...30, using: &random)) else { continue }
                guard Int.random(in: 0..<4, using: &random) > 0 else {
                    ledger.restore(settlement)
                    continue
                }
                for id in settlement.acknowledged.ranges.joined() {
                    #expect(file[id] != nil)
                    file[id] = nil
                }
                for id in settlement.returned.ranges.joined() { file[id, default: 0] += 1 }
                for handout in settlement.handouts {
                    for id in handout.ids.ranges.joined() {
                        // The file says how often it was out before, and it was out with nobody.
                        #expect(file[id] == handedOut[id, default: 0])
                        #expect(!held.values.contains { $0.contains(id) })
                        handedOut[id, default: 0] += 1
                        held[handout.consumer, default: []].append(id)
                    }
                }
            }
            #expect(ledger.outCount == held.values.reduce(0) { $0 + $1.count })
        }
        if let last = ledger.nextSettlement(limit: 0) {
            for id in last.acknowledged.ranges.joined() { file[id] = nil }
        }
        #expect(ledger.readyCount + ledger.outCount == file.count)
    }
}

private func ids(_ ranges: Range<Int64>...) -> RangeSet<Int64> { RangeSet(ranges) }

/// Random numbers that come again with their seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
