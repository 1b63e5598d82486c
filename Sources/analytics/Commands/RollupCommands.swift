internal import AnalyticsCore
internal import ArgumentParser

struct Reconcile: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare every rollup and every segment with its events.",
        discussion: """
            Prints each difference, and exits with 1 if there is one. Marked buckets, which are not counted yet, are listed but not \
            compared: run it again when the service is idle. Minutes before a project's watermark are listed as expired: their events are \
            deleted. The last lines name the ranges to count again. May run while a service runs.
            """)

    func run() async throws {
        try await CommandSettings.withStore { store, _, _ in
            let report = try await Reconciliation(store: store).run()
            for difference in report.differences.sorted(by: { $0.description < $1.description }) { print(difference) }
            print(
                "\(report.events) events, \(report.minutes) minutes, \(report.hours) hours, \(report.days) days compared; \(report.expired) expired, "
                    + "\(report.missingReceived) without a table of receipt, "
                    + "\(report.marked) marked, \(report.differences.count) differences")
            for recount in report.recounts {
                print(
                    "count again: analytics rebuild-rollups --project '\(recount.project)' --from \(recount.range.lowerBound.rfc3339) "
                        + "--to \(recount.range.upperBound.rfc3339)")
            }
            let segments = try await SegmentCheck(store: store).run()
            for minute in segments.differences { print(Self.line(minute)) }
            print(
                "segments: \(segments.days) days with \(segments.events) events compared; \(segments.stale) minutes to be built, "
                    + "\(segments.differences.count) differences")
            if !report.differences.isEmpty || !segments.differences.isEmpty { throw ExitCode(1) }
        }
    }
}

extension Reconcile {
    /// The line of a segment.
    private static func line(_ minute: BucketKey) -> String {
        let start = Timestamp(minute: minute.index)
        return "segment \(start.rfc3339) project \(minute.project): not what the events say; make it anew: analytics rebuild-rollups "
            + "--project '\(minute.project)' --from \(start.rfc3339) --to \(Timestamp(minute: minute.index + 1).rfc3339)"
    }
}

struct RebuildRollups: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rebuild all rollups, and the segments of their days, from the events.",
        discussion: """
            Answers stay correct meanwhile: what is not rebuilt yet is read from the events. Minutes before a project's watermark, whose \
            events are deleted, do not change. May run while a service runs.
            """)

    @Option(help: "Only this project.")
    var project: ProjectID?

    @Option(help: "From the day of this time (RFC 3339, UTC days).", transform: Self.moment)
    var from: Timestamp?

    @Option(help: "Up to the day of this time.", transform: Self.moment)
    var to: Timestamp?

    private static func moment(_ text: String) throws -> Timestamp {
        guard let moment = Timestamp(rfc3339: text) else {
            throw ValidationError("'\(text)' is not a date and time such as 2026-03-01T12:00:00Z")
        }
        return moment
    }

    func run() async throws {
        let start = from ?? Range.always.lowerBound
        let end = to ?? Range.always.upperBound
        guard start < end else { throw ValidationError("--from must be earlier than --to") }
        try await CommandSettings.withStore { store, _, logger in
            let rebuild = Rebuild(store: store, roller: Roller(store: store, clock: .system, logger: logger))
            let minutes = try await rebuild.run(project: project, range: start..<end)
            try await SegmentBuilder(store: store, clock: .system, logger: logger).finish()
            print("\(minutes) minutes counted anew")
        }
    }
}
