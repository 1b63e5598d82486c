internal import DequeModule

/// The places in which questions run, and the questions that wait for one. Pure.
///
/// A free place goes to the project with the fewest running questions, of several to the one whose last turn is longest ago, and there to
/// the question that has waited longest. So a project with many questions delays its own.
struct QuestionQueue<Turn: Sendable>: Sendable {
    private struct Waiting {
        var ticket: Int
        var project: ProjectID?
        var turn: Turn
    }

    private struct Share {
        var running = 0
        /// The number of its last turn.
        var lastTurn = 0
    }

    enum Entry: Sendable {
        /// It runs.
        case begun
        case waits
        /// It waits in the place of the newest waiting question of the project with the most; that question is to be refused.
        case displaces(Turn)
        case refused
    }

    private let places: Int
    private let room: Int
    private(set) var running = 0
    private var waiting: Deque<Waiting> = []
    private var turns = 0
    /// Of projects with running or waiting questions. The service's own questions have no project.
    private var shares: [ProjectID?: Share] = [:]

    init(places: Int, room: Int) {
        self.places = places
        self.room = room
    }

    var waitingCount: Int { waiting.count }

    /// - Parameter ticket: For ``remove(_:)``.
    mutating func enter(_ project: ProjectID?, ticket: Int, _ turn: Turn) -> Entry {
        if running < places {
            begin(project)
            return .begun
        }
        var entry = Entry.waits
        if waiting.count >= room {
            guard let displaced = displaced(by: project) else { return .refused }
            entry = .displaces(displaced.turn)
        }
        waiting.append(Waiting(ticket: ticket, project: project, turn: turn))
        // When its last turn was is forgotten. If that were never, projects that ask one question after another would always overtake one
        // that waits.
        if shares[project] == nil { shares[project] = Share(running: 0, lastTurn: turns - 1) }
        return entry
    }

    /// Ends a question, and returns the one that begins in its place.
    mutating func leave(_ project: ProjectID?) -> Turn? {
        running -= 1
        shares[project]?.running -= 1
        let next = waiting.indices.min { rank(waiting[$0]) < rank(waiting[$1]) }.map { waiting.remove(at: $0) }
        if let next { begin(next.project) }
        forget(project)
        return next?.turn
    }

    /// Removes a question that waits; `nil` if it does not.
    mutating func remove(_ ticket: Int) -> Turn? {
        guard let place = waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
        let removed = waiting.remove(at: place)
        forget(removed.project)
        return removed.turn
    }

    private mutating func begin(_ project: ProjectID?) {
        running += 1
        turns += 1
        shares[project, default: Share()].running += 1
        shares[project]?.lastTurn = turns
    }

    private func rank(_ question: Waiting) -> (Int, Int) {
        let share = shares[question.project] ?? Share()
        return (share.running, share.lastTurn)
    }

    /// Only if its project then still has no fewer waiting questions than the new one's.
    private mutating func displaced(by project: ProjectID?) -> Waiting? {
        let counts = Dictionary(grouping: waiting) { $0.project }.mapValues(\.count)
        guard let most = counts.values.max(), most >= counts[project, default: 0] + 2,
            let place = waiting.lastIndex(where: { counts[$0.project] == most })
        else { return nil }
        return waiting.remove(at: place)
    }

    private mutating func forget(_ project: ProjectID?) {
        if shares[project]?.running == 0, !waiting.contains(where: { $0.project == project }) { shares[project] = nil }
    }
}
