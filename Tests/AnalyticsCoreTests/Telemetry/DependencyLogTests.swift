import TestSupport
import Testing

@testable import AnalyticsCore

struct DependencyLogTests {
    @Test func aDependencyThatGoesDownIsLoggedOnceWithItsReason() {
        let recorded = RecordedLog()
        let log = DependencyLog(recorded.logger)
        let down = Readiness.Dependency(name: "store", health: .down("db7:27017 refused"))
        let seen: [Readiness.Dependency] = [.init(name: "store"), down, down, .init(name: "broker"), .init(name: "store"), down]
        for dependency in seen { log.saw(dependency) }
        #expect(recorded.warnings.count == 2 && recorded.contains("db7:27017 refused"))
        #expect(recorded.contains("Dependency up again"))
    }
}
