/// Fills tables of receipt a bounded number at a time: those of the days that a watermark is about to pass, and once a day those of all
/// others. A failure is kept for the log, and neither stops other projects nor holds a watermark back for long.
actor ReceivedFillRounds {
    private struct State {
        var passing: Passing?
        /// The first failure since a day was filled.
        var failingSince: Timestamp?
        /// The other days of this round.
        var rest: [Int64] = []
        var lookAgain: Timestamp?
    }

    /// The days that a watermark passes when it rises to the target.
    private struct Passing {
        var target: Timestamp
        var days: [Int64]
        var failed: [Int64] = []
    }

    /// What was done since the last report.
    struct Report: Sendable {
        var minutes = 0
        /// The first failure, and the number of failures.
        var failure: (project: ProjectID, error: any Error)?
        var failures = 0
    }

    private let fill: ReceivedFill
    private let clock: WallClock
    private let order: @Sendable ([Int64]) -> [Int64]
    private var projects: [ProjectID: State] = [:]
    private var report = Report()

    /// Counts of events per project and call; a day that is begun is finished.
    static let countsAtATime = 64
    /// How long a project may fail, without a day filled, before its watermark rises all the same. Once they are
    /// deleted, events that were not counted count on their own day.
    static let patience: Duration = .seconds(3_600)
    private static let roundInterval: Duration = .seconds(86_400)

    /// `order`: that of the days. Processes that start together should not all count the same day.
    init(_ fill: ReceivedFill, clock: WallClock, order: @escaping @Sendable ([Int64]) -> [Int64]) {
        self.fill = fill
        self.clock = clock
        self.order = order
    }

    func takeReport() -> Report {
        defer { report = Report() }
        return report
    }

    /// Fills days that the watermark would pass. Returns the time to which it may rise; `nil` if days are left for the next call.
    func fillBelow(_ target: Timestamp, of project: ProjectID, from watermark: Timestamp?) async -> Timestamp? {
        var state = projects[project] ?? State()
        defer { projects[project] = state }
        var passing = Passing(target: target, days: [])
        do {
            // Another process may have raised the watermark meanwhile.
            if let known = state.passing, watermark.map({ known.target > $0 }) ?? true {
                passing = known
            } else {
                state.passing = nil
                passing.days = order(try await fill.days(of: project, from: watermark, to: target))
            }
            state.passing = passing
            try await work(on: &passing.days, of: project)
            state.failingSince = nil
        } catch {
            guard note(error, project) else { return nil }
            if let known = state.passing, passing.days.count < known.days.count { state.failingSince = nil }
            state.failingSince = state.failingSince ?? clock.now()
            let isOver = state.failingSince.map { clock.now() >= $0 + Self.patience } ?? false
            if isOver {
                (passing.days, passing.failed) = ([], [])
            } else if state.passing == nil {
                return nil
            } else if let day = passing.days.popLast() {
                passing.failed.append(day)
            }
        }
        if passing.days.isEmpty { (passing.days, passing.failed) = (passing.failed, []) }
        state.passing = passing
        // Failed days are tried again with the next call.
        guard passing.days.isEmpty else { return nil }
        (state.passing, state.failingSince) = (nil, nil)
        return min(passing.target, target)
    }

    /// Fills some of the other days.
    func fillRest(of project: ProjectID) async {
        var state = projects[project] ?? State()
        defer { projects[project] = state }
        let now = clock.now()
        do {
            if state.rest.isEmpty {
                if let next = state.lookAgain, now < next { return }
                state.lookAgain = now + Self.roundInterval
                state.rest = order(try await fill.days(of: project))
            }
            try await work(on: &state.rest, of: project)
        } catch {
            guard note(error, project) else { return }
            if (error as? StoreError)?.code != .unavailable {
                // Looked at again in the next round, and before the watermark passes it.
                _ = state.rest.popLast()
            } else if state.rest.isEmpty {
                state.lookAgain = nil
            }
        }
    }

    /// From the last day on. After an error, the last day is the one that failed.
    private func work(on days: inout [Int64], of project: ProjectID) async throws {
        var counts = 0
        while counts < Self.countsAtATime, let day = days.last {
            let filled = try await fill.fill(day, of: project)
            days.removeLast()
            report.minutes += filled.minutes
            counts += max(1, filled.counts)
        }
    }

    /// False if the process ends.
    private func note(_ error: any Error, _ project: ProjectID) -> Bool {
        guard !Task.isCancelled else { return false }
        if report.failure == nil { report.failure = (project: project, error: error) }
        report.failures += 1
        return true
    }
}
