internal import AnalyticsCore
internal import ArgumentParser
internal import Logging

enum CommandSettings {
    /// Throws a ``SettingsError``, which becomes the command's one line of output.
    static func read() async throws -> Settings {
        try Settings(await .standard())
    }

    /// Runs a command that needs only the store.
    static func withStore(_ body: (any Store, Settings, Logger) async throws -> Void) async throws {
        let settings = try await read()
        let logger = Telemetry.logger(settings.logging)
        let (store, shutdown) = try Backends.openStoreOnly(settings, logger: logger)
        do {
            try await store.prepare()
            try await RetentionNotice.log(settings, store, logger)
            try await body(store, settings, logger)
        } catch {
            await shutdown()
            throw error
        }
        await shutdown()
    }

    static func audit(_ store: any RecordStore) -> AuditLog {
        AuditLog(store: store, clock: .system, ids: .uuid7(clock: .system))
    }

    /// Runs a command that needs only the broker.
    static func withBroker(_ body: (any Broker) async throws -> Void) async throws {
        let settings = try await read()
        let (broker, shutdown) = try Backends.openBrokerOnly(settings, logger: Telemetry.logger(settings.logging))
        do {
            try await body(broker)
        } catch {
            await shutdown()
            throw error
        }
        await shutdown()
    }
}

/// A failure that is printed as one line.
struct CommandFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}
