internal import AnalyticsCore
internal import ArgumentParser

struct Reconcile: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare every rollup with the events that it stands for.",
        discussion: """
            Prints each difference and ends with 1 if there is one. Buckets that are marked, and so not counted yet, are told and not \
            compared: run it again once the service is at rest. Minutes below a project's watermark are told as expired: their events are \
            deleted. Reads only, and may run beside a service at work.
            """)

    func run() async throws {
        try await CommandSettings.withStore { store, _, _ in
            let report = try await Reconciliation(store: store).run()
            for difference in report.differences.sorted(by: { $0.description < $1.description }) { print(difference) }
            print(
                "\(report.events) events, \(report.minutes) minutes, \(report.hours) hours compared; \(report.expired) expired, "
                    + "\(report.marked) marked, \(report.differences.count) differences")
            if !report.differences.isEmpty { throw ExitCode(1) }
        }
    }
}

struct RebuildRollups: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make all rollups anew from the events.",
        discussion: """
            Counts stay right meanwhile: what is not rolled yet is counted from its events. Minutes below a project's watermark, whose \
            events are deleted, stay as they are. May run beside a service at work.
            """)

    func run() async throws {
        try await CommandSettings.withStore { store, _, logger in
            let minutes = try await Rebuild(store: store, roller: Roller(store: store, logger: logger)).run()
            print("\(minutes) minutes counted anew")
        }
    }
}
