import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct LostConnectionTests {
    @Test func holdsNoMoreThanThePrefetchWhileTheStoreIsDownHoweverOftenTheConnectionIsLost() async throws {
        let rig = ProcessorRig()
        // It stands still: flushes are tried once in each session, and only full ones begin.
        let clock = ManualClock()
        rig.faults.down([.insert])
        let bodies = names(200).map { message([sample($0, data: "\"\(String(repeating: "x", count: 10_000))\"")], request: "r-\($0)").body }
        rig.broker.enqueue(bodies)
        let task = rig.start(rig.processor(flushEvents: 4, prefetch: 40, elapsed: clock.elapsed))
        var decoded = 0
        for lost in 0...20 {
            if lost > 0 { rig.broker.disconnect() }
            // Two flushes, and a batch that waits for one of them. What comes again for the tenth time is written alone.
            decoded += lost < DeadLetterPolicy.isolateFrom ? 12 : 1
            try await eventually("session \(lost) holds what it can") {
                rig.decoded.values.count >= decoded && rig.broker.sessions == lost + 1
            }
            #expect(rig.decoded.values.count == decoded)
            #expect(rig.broker.unacknowledged == 40 && rig.broker.ready == 160)
            #expect(rig.broker.bytesWaiting <= 40 * bodies[0].count)
        }
        rig.faults.down([])
        try await eventually("all is acknowledged") {
            clock.advance(by: .seconds(1))
            return rig.broker.acknowledged.count == 200
        }
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(200))
        #expect(rig.broker.mostHeld == 40 && rig.broker.mostBytes <= 40 * bodies[199].count)
        #expect(rig.decoded.values.count == decoded + 199, "what waited in a lost connection was never decoded")
    }

    @Test func oldHandlesDoNothingAndNothingIsCountedTwice() async throws {
        let rig = ProcessorRig()
        rig.faults.down([.markMinute])
        rig.broker.enqueue(bodies(names(20)))
        let attempts = rig.faults.attempts(at: .markMinute)
        let task = rig.start(rig.processor())
        try await eventually("an attempt") { attempts.value >= 1 }
        rig.broker.disconnect()
        rig.faults.down([])
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        rig.expectStored(names(20))
        #expect(rig.broker.acknowledged.count == 20)
    }

    @Test func theAttemptUnderWayEndsBeforeTheNextSessionBegins() async throws {
        let rig = ProcessorRig()
        let gate = Flag()
        let underWay = Counting()
        let ended = Counting()
        rig.store.beforeInsert {
            underWay.next()
            // In a task that is not cancelled with the session.
            try? await Task { try await eventually("the gate opens") { gate.isTaken } }.value
            ended.next()
        }
        let endedAtBegin = Recorded<Int>()
        rig.broker.beforeSession { endedAtBegin.append(ended.value) }
        rig.broker.enqueue(bodies(["a", "b", "c"]))
        let task = rig.start(rig.processor(flushEvents: 1, concurrentFlushes: 2))
        try await eventually("two attempts") { underWay.value == 2 }
        rig.broker.disconnect()
        gate.isTaken = true
        await rig.broker.untilIdle()
        task.cancel()
        #expect(await ends(task))
        #expect(endedAtBegin.values == [0, 2])
        rig.expectStored(["a", "b", "c"])
        #expect(rig.broker.acknowledged.count == 3)
    }

    @Test func aConnectionLostWhileDrainingEndsTheDrain() async throws {
        let rig = ProcessorRig()
        rig.faults.down([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue(bodies(["a"]))
        try await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 1))
            try await eventually("an attempt") { attempts.value >= 1 }
            trigger.triggerGracefulShutdown()
            rig.broker.disconnect()
            #expect(await ends(task))
        }
        #expect(rig.broker.ready == 1 && rig.broker.sessions == 1)
    }
}
