internal import ServiceLifecycle

/// Writes failed sign-ins to the audit log, after their answers: the time of an answer must not tell that there is an account.
final class FailedSignIns: Service {
    /// Those that wait. Each has cost a hash, so there are more only if the store is slow; then the newest are lost.
    private static let maximum = 1_000
    private static let writeLimit: Duration = .seconds(3)

    private let audit: AuditLog
    private let (entries, sink) = AsyncStream.makeStream(of: AuditEntry.self, bufferingPolicy: .bufferingOldest(FailedSignIns.maximum))

    init(audit: AuditLog) {
        self.audit = audit
    }

    func add(_ entry: AuditEntry) { sink.yield(entry) }

    /// At shutdown it ends when those that wait are written.
    func run() async throws {
        await withGracefulShutdownHandler {
            for await entry in entries { await write(entry) }
        } onGracefulShutdown: {
            self.sink.finish()
        }
    }

    private func write(_ entry: AuditEntry) async {
        do throws(StoreError) {
            try await Deadline.within(Self.writeLimit) { () async throws(StoreError) in try await audit.write(entry) }
        } catch {
            // The store is down. Nobody signs in meanwhile.
        }
    }
}
