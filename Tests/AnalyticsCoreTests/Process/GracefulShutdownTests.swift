import ServiceLifecycleTestKit
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct GracefulShutdownTests {
    @Test func writesAndAcknowledgesWhatIsHeld() async {
        let rig = ProcessorRig()
        rig.broker.enqueue(bodies(names(7)))
        await testGracefulShutdown { trigger in
            // An hour: only the shutdown flushes.
            let task = rig.start(rig.processor(flushInterval: .seconds(3_600)))
            await eventually("all are taken") { rig.broker.unacknowledged == 7 && rig.broker.bytesWaiting == 0 }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
        rig.expectStored(names(7))
        #expect(rig.store.insertions == [7])
        #expect(rig.broker.acknowledged == bodies(names(7)) && rig.broker.ready == 0 && rig.broker.unacknowledged == 0)
    }

    @Test func leavesWhatItHasNotTakenToTheBroker() async {
        let rig = ProcessorRig()
        let clock = ManualClock()
        rig.faults.away([.insert])
        rig.broker.enqueue(bodies(names(10)))
        await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 2, concurrentFlushes: 1, elapsed: clock.elapsed))
            await eventually("a flush of two waits for the store, and two more for the flush") {
                rig.decoded.values.count == 4 && !clock.sleeping.isEmpty
            }
            trigger.triggerGracefulShutdown()
            rig.faults.away([])
            clock.advance(by: .seconds(1))
            #expect(await ends(task))
        }
        rig.expectStored(names(4))
        #expect(rig.broker.acknowledged.count == 4 && rig.broker.ready == 6)
    }

    @Test func acknowledgesWhatItHoldsThoughMoreIsDeliveredMeanwhile() async {
        let rig = ProcessorRig()
        rig.faults.away([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        rig.broker.enqueue(bodies(["held"]))
        await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 1))
            await eventually("an attempt") { attempts.value >= 1 }
            trigger.triggerGracefulShutdown()
            rig.broker.enqueue(bodies(["late"]))
            rig.faults.away([])
            #expect(await ends(task))
        }
        #expect(rig.store.events.map(\.event.id) == ["held"])
        #expect(rig.broker.acknowledged.count == 1 && rig.broker.ready == 1)
    }

    @Test(arguments: 0..<20)
    func finishesEveryFlushAndLeavesNoneBehind(round: Int) async {
        let rig = ProcessorRig()
        rig.faults.away([.insert])
        let attempts = rig.faults.attempts(at: .insert)
        let started = Counting()
        rig.store.beforeInsert { started.next() }
        rig.broker.enqueue(bodies(names(8)))
        await testGracefulShutdown { trigger in
            let task = rig.start(rig.processor(flushEvents: 1, concurrentFlushes: 1 + round % 3))
            await eventually("an attempt") { attempts.value >= 1 }
            trigger.triggerGracefulShutdown()
            rig.faults.away([])
            #expect(await ends(task))
        }
        let acknowledged = rig.broker.acknowledged.count
        #expect(acknowledged == rig.store.events.count, "what is written is acknowledged before the end")
        #expect(started.value == attempts.value, "no write is under way after the end")
    }
}
