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
            await eventually("all delivered") { rig.broker.unacknowledged == 7 }
            // Delivered to the stream is not yet taken from it.
            for _ in 0..<1_000 { await Task.yield() }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
        // What was delivered and not taken yet stays with the broker; what was taken is written and acknowledged.
        #expect(!rig.store.events.isEmpty)
        #expect(rig.broker.acknowledged.count == rig.store.events.count)
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
            for _ in 0..<1_000 { await Task.yield() }
            rig.broker.enqueue(bodies(["late"]))
            for _ in 0..<1_000 { await Task.yield() }
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
        rig.store.beforeInsert { for _ in 0..<50 { await Task.yield() } }
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
        for _ in 0..<200 { await Task.yield() }
        #expect(rig.store.events.count == acknowledged, "nothing is written after the end")
    }
}
