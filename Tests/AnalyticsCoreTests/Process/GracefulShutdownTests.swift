import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct GracefulShutdownTests {
    @Test func writesAndAcknowledgesWhatIsHeld() async throws {
        let rig = ProcessorRig()
        rig.broker.enqueue(bodies(names(7)))
        try await testGracefulShutdown { trigger in
            // An hour: only the shutdown flushes.
            let task = rig.start(rig.processor(flushInterval: .seconds(3_600)))
            try await eventually("all are taken") { rig.broker.unacknowledged == 7 && rig.broker.bytesWaiting == 0 }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
        rig.expectStored(names(7))
        #expect(rig.store.insertions == [7])
        #expect(rig.broker.acknowledged == bodies(names(7)) && rig.broker.ready == 0 && rig.broker.unacknowledged == 0)
    }

    @Test func leavesWhatItHasNotTakenToTheBroker() async throws {
        let rig = ProcessorRig()
        let clock = ManualClock()
        rig.faults.down([.insert])
        rig.broker.enqueue(bodies(names(10)))
        try await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 2, concurrentFlushes: 1, elapsed: clock.elapsed))
            try await eventually("a flush of two waits for the store, and two more for the flush") {
                // The look at the lag, and the flush until its next attempt.
                rig.decoded.values.count == 4 && clock.sleeping.count == 2
            }
            trigger.triggerGracefulShutdown()
            rig.faults.down([])
            clock.advance(by: .seconds(1))
            #expect(await ends(task))
        }
        rig.expectStored(names(4))
        #expect(rig.broker.acknowledged.count == 4 && rig.broker.ready == 6)
    }

    @Test func writesWhatWasDueWhileAnotherDeliveryWasWrittenAlone() async throws {
        let rig = ProcessorRig()
        let clock = ManualClock()
        rig.faults.down([.insert])
        rig.broker.enqueue(bodies(["suspect"]), redeliveries: DeadLetterPolicy.isolateFrom)
        rig.broker.enqueue(bodies(["due"]))
        try await testGracefulShutdown { trigger in
            let task = rig.start(
                rig.processor(flushInterval: .seconds(1), concurrentFlushes: 2, elapsed: clock.elapsed))
            try await eventually("the suspect waits for the store, and the other one for its time") {
                // Two timers of the pipeline, and the flush until its next attempt.
                rig.decoded.values.count == 2 && clock.sleeping.count == 3
            }
            clock.advance(by: .seconds(1))
            // Of three one does not sleep again: it waits until the suspect is done with.
            try await eventually("it is handed over") { clock.sleeping.count == 2 }
            trigger.triggerGracefulShutdown()
            rig.faults.down([])
            clock.advance(by: .seconds(1))
            #expect(await ends(task))
        }
        rig.expectStored(["suspect", "due"])
        #expect(rig.broker.unacknowledged == 0 && rig.broker.ready == 0)
    }

    @Test func acknowledgesWhatItHoldsThoughMoreIsDeliveredMeanwhile() async throws {
        let rig = ProcessorRig()
        rig.faults.down([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue(bodies(["held"]))
        try await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 1))
            try await eventually("an attempt") { attempts.value >= 1 }
            trigger.triggerGracefulShutdown()
            rig.broker.enqueue(bodies(["late"]))
            rig.faults.down([])
            #expect(await ends(task))
        }
        #expect(rig.store.events.map(\.event.id) == ["held"])
        #expect(rig.broker.acknowledged.count == 1 && rig.broker.ready == 1)
    }

    @Test(arguments: 0..<20)
    func finishesEveryFlushAndLeavesNoneBehind(round: Int) async throws {
        let rig = ProcessorRig()
        rig.faults.down([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        let started = Counting()
        rig.store.beforeInsert { started.next() }
        rig.broker.enqueue(bodies(names(8)))
        try await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 1, concurrentFlushes: 1 + round % 3))
            try await eventually("an attempt") { attempts.value >= 1 }
            trigger.triggerGracefulShutdown()
            rig.faults.down([])
            #expect(await ends(task))
        }
        let acknowledged = rig.broker.acknowledged.count
        #expect(acknowledged == rig.store.events.count, "what is written is acknowledged before the end")
        #expect(started.value == attempts.value, "no write is under way after the end")
    }
}
