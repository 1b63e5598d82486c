import TestSupport
import Testing

@testable import AnalyticsCore

/// Whose question is next.
struct QuestionQueueTests {
    private static let projects: [ProjectID] = ["a", "b", "c"]

    /// The projects that get a place as each running question ends, if none of their own ends before.
    private static func order(places: Int, running: [ProjectID], waiting: [ProjectID]) -> [ProjectID] {
        var queue = QuestionQueue<ProjectID>(places: places, room: 64)
        for (ticket, project) in (running + waiting).enumerated() { _ = queue.enter(project, ticket: ticket, project) }
        var ends = running
        var order: [ProjectID] = []
        while !ends.isEmpty {
            if let next = queue.leave(ends.removeFirst()) {
                order.append(next)
                ends.append(next)
            }
        }
        return order
    }

    @Test func theQuestionsOfOneProjectRunInTheirOrder() {
        var queue = QuestionQueue<Int>(places: 1, room: 10)
        for ticket in 0..<5 { _ = queue.enter("a", ticket: ticket, ticket) }
        #expect((0..<4).map { _ in queue.leave("a") } == [1, 2, 3, 4])
        #expect(queue.leave("a") == nil && queue.running == 0)
    }

    @Test func projectsTakeTurns() {
        #expect(Self.order(places: 1, running: ["a"], waiting: ["a", "a", "a", "b", "b", "c"]) == ["b", "c", "a", "b", "a", "a"])
    }

    @Test func projectsThatAskOneQuestionAfterAnotherDoNotOvertakeOneThatWaits() {
        var queue = QuestionQueue<ProjectID>(places: 1, room: 10)
        for (ticket, project) in (["a", "a", "b", "c"] as [ProjectID]).enumerated() { _ = queue.enter(project, ticket: ticket, project) }
        var running: ProjectID = "a"
        var order: [ProjectID] = []
        for ticket in 4..<10 {
            guard let next = queue.leave(running) else { break }
            order.append(next)
            if running != "a" { _ = queue.enter(running, ticket: ticket, running) }
            running = next
        }
        #expect(order == ["b", "c", "a", "b", "c", "b"])
    }

    @Test func aPlaceGoesToTheProjectWithTheFewest() {
        #expect(Self.order(places: 3, running: ["a", "a", "b"], waiting: ["a", "a", "b"]) == ["a", "b", "a"])
        #expect(Self.order(places: 4, running: ["a", "a", "a", "a"], waiting: ["a", "b", "b"]) == ["b", "b", "a"])
    }

    @Test func aFullQueueMakesRoomForAProjectWithFewer() {
        var queue = QuestionQueue<Int>(places: 1, room: 3)
        for ticket in 0..<4 { _ = queue.enter("a", ticket: ticket, ticket) }
        func outcome(_ project: ProjectID, _ ticket: Int) -> Int? {
            switch queue.enter(project, ticket: ticket, ticket) {
            case .displaces(let other): other
            case .refused: nil
            case .begun, .waits: -1
            }
        }
        #expect(outcome("a", 4) == nil, "its own queue is full")
        #expect(outcome("b", 5) == 3, "the newest of the project with the most")
        #expect(outcome("b", 6) == nil, "it would have as many as the other")
        #expect(outcome("c", 7) == 2)
        #expect(outcome("c", 8) == nil)
        #expect(queue.waitingCount == 3)
        #expect(Self.projects.map { queue.leave($0) } == [5, 7, 1])
    }

    @Test func aQuestionThatGivesUpLeavesNothing() {
        var queue = QuestionQueue<Int>(places: 1, room: 3)
        for ticket in 0..<3 { _ = queue.enter("a", ticket: ticket, ticket) }
        #expect(queue.remove(1) == 1)
        #expect(queue.remove(1) == nil)
        #expect(queue.remove(0) == nil, "it runs")
        #expect(queue.leave("a") == 2)
        #expect(queue.leave("a") == nil && queue.waitingCount == 0)
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func thePlacesAreShared(seed: UInt64) {
        var random = Seeded(seed)
        let places = 1 + random.below(4)
        var queue = QuestionQueue<Int>(places: places, room: 6)
        var projectOf: [ProjectID] = []
        var (running, waiting): ([Int], Set<Int>) = ([], [])
        for ticket in 0..<500 {
            let project = Self.projects[random.chance(70) ? 0 : random.below(3)]
            projectOf.append(project)
            switch queue.enter(project, ticket: ticket, ticket) {
            case .begun: running.append(ticket)
            case .waits: waiting.insert(ticket)
            case .displaces(let other):
                #expect(waiting.remove(other) != nil)
                #expect(projectOf[other] != project)
                waiting.insert(ticket)
            case .refused: break
            }
            #expect(queue.running == running.count && queue.running <= places && queue.waitingCount == waiting.count)
            guard random.chance(60), !running.isEmpty else { continue }
            let ended = running.remove(at: random.below(running.count))
            guard let next = queue.leave(projectOf[ended]) else { continue }
            #expect(waiting.filter { projectOf[$0] == projectOf[next] }.min() == next, "the first of its project")
            let places = waiting.map { question in running.count { projectOf[$0] == projectOf[question] } }
            #expect(running.count { projectOf[$0] == projectOf[next] } == places.min(), "which has the fewest")
            waiting.remove(next)
            running.append(next)
        }
    }
}
