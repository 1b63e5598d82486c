import Foundation
import Synchronization
import Testing

@testable import AnalyticsMongoDB

struct OperationStopTests {
    /// Else its session, which the driver gives to the next operation, would be killed there.
    @Test("An operation does not end while the server is being told to stop it")
    func endsAfterTheKill() async {
        let stop = OperationStop()
        #expect(stop.begin(session: [1]) && stop.stop() && stop.isStopped)
        #expect(stop.beginKill() == [1] && stop.beginKill() == nil && stop.isStopped)
        let wasTold = Atomic(false)
        let sawIt = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                stop.end()
                continuation.resume(returning: wasTold.load(ordering: .acquiring))
            }
            Thread.sleep(forTimeInterval: 0.05)
            wasTold.store(true, ordering: .releasing)
            stop.endKill()
        }
        #expect(sawIt && !stop.isStopped && stop.beginKill() == nil)
    }

    @Test("An operation that was stopped before it began does not begin, and one that has ended is not stopped")
    func stopsOnlyWhatRuns() {
        let early = OperationStop()
        #expect(!early.stop() && !early.begin(session: [1]) && early.beginKill() == nil)
        let late = OperationStop()
        #expect(late.begin(session: [1]))
        late.end()
        #expect(!late.stop() && late.beginKill() == nil && !late.isStopped)
    }
}
