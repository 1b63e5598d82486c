import ServiceLifecycle
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct FailedSignInTests {
    private let rig = SignInRig()

    private func wrong(_ email: EmailAddress = .ann, from client: Client = .browser) async throws {
        await #expect(throws: SignInError.wrongCredentials) { try await rig.enter(email, "another password", from: client) }
    }

    @Test func failuresOfAccountsThatExistAreTold() async throws {
        let writing = rig.writeFailures()
        defer { writing.cancel() }
        try await rig.access.account(.ann)
        try await wrong(.bob)
        try await wrong(.ann, from: .other)
        try await eventually("it is told") { try await !rig.told(.signInFailed).isEmpty }
        let entries = try await rig.told(.signInFailed)
        #expect(entries.map(\.target) == ["ann@example.org"] && entries.map(\.address) == ["198.51.100.7"])
        #expect(entries.map(\.actor) == ["anonymous"] && entries.map(\.details) == ["wrong password"])
    }

    /// The time of the answer must not tell that there is an account.
    @Test func theAnswerDoesNotWaitForTheEntry() async throws {
        try await rig.access.account(.ann)
        try await wrong()
        #expect(rig.store.journal.isEmpty)
        rig.clock.advance(by: .seconds(10))
        let writing = rig.writeFailures()
        defer { writing.cancel() }
        try await eventually("it is told") { try await !rig.told(.signInFailed).isEmpty }
        #expect(try await rig.told(.signInFailed).map(\.time) == [noon], "when it was")
    }

    @Test func atShutdownThoseThatWaitAreWritten() async throws {
        try await rig.access.account(.ann)
        for number in 0..<5 { try await wrong(from: .numbered(number)) }
        await testGracefulShutdown { trigger in
            trigger.triggerGracefulShutdown()
            let task = rig.writeFailures()
            #expect(await ends(task))
        }
        #expect(try await rig.told(.signInFailed).count == 5)
    }

    @Test func anEntryThatCannotBeWrittenDoesNotHoldUpOthers() async throws {
        try await rig.access.account(.ann)
        rig.store.down([.audit])
        try await wrong()
        let writing = rig.writeFailures()
        defer { writing.cancel() }
        try await eventually("it is tried") { rig.store.journal == ["audit sign-in.failed"] }
        rig.store.down([])
        try await wrong(from: .other)
        try await eventually("the next is told") { try await rig.told(.signInFailed).map(\.address) == ["198.51.100.7"] }
    }
}
